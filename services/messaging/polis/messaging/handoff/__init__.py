"""Who is responsible for conversations, and how that passes from one to another."""
