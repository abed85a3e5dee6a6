"""Triggers: kept as the catalog's active versions name them, and fired once for each occasion."""
