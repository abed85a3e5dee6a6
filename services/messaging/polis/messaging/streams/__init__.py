"""Messages that are shown while they are said."""
