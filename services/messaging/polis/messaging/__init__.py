"""The messaging service: conversations, their messages, and who is about."""
