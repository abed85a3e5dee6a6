"""Artifacts: files, their uploads, and where their bytes lie."""
