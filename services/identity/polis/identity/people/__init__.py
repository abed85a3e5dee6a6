"""People: accounts, what proves who they are, and their sessions."""
