"""What a follower of a topic is told that does not keep up."""

from __future__ import annotations


class Slow(Exception):
    """The watcher took too long; it has to come back with its cursor."""
