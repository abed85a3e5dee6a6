"""Steps that let no more than so many messages pass in a period."""
