"""Conversations: their rows and their turns."""
