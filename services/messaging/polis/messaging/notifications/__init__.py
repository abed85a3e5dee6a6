"""Telling people outside of the chat that something waits for them: what they want, what is due, and when."""
