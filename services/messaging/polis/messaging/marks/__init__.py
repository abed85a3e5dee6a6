"""How far somebody has read, and what is not sent yet."""
