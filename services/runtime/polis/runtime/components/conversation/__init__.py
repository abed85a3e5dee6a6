"""Components that take part in conversations."""
