"""Assistants, installed."""
