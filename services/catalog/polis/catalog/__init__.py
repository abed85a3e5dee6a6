"""The catalog service: declarative resources, their immutable versions, and artifacts."""
