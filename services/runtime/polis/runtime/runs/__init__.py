"""The operations on runs."""
