"""What is kept, and taking it along."""
