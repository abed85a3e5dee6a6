"""The identity service: orgs, principals, sessions and credentials. It alone issues tokens."""
