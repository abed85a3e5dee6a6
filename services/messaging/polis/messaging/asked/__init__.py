"""Asks of the runtime in conversations, and replies that answer them."""
