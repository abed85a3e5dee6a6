"""Following conversations."""
