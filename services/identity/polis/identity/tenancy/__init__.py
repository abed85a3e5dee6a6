"""Orgs, their members and invitations."""
