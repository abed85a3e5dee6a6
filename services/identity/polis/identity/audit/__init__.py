"""What was done in each org, in chains that show every change to them."""
