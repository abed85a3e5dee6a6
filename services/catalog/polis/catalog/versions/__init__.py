"""Versions, and which of them an environment uses."""
