"""Components that work on lists, streams and objects."""

from polis.runtime.components.data import aggregate, groups, join, objects, order, streams

__all__ = ["aggregate", "groups", "join", "objects", "order", "streams"]
