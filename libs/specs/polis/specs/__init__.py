"""Renders the contract as documents: pure functions of polis.proto, committed under proto/generated."""
