"""What is said in conversations."""
