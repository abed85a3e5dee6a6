"""Whom messages are for."""
