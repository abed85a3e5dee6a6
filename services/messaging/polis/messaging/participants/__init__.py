"""Who takes part in conversations."""
