"""Extractive summaries: sentences, their rank, and which of them are said."""
