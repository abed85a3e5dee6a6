"""Mails: what waits to be written and sent, their texts, and who sends them."""
