"""Rows of the authorization matrix, by noun: how each operation is called on something that exists."""
