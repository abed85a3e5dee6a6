"""Components that reach the rest of the mesh."""

from polis.runtime.components.mesh import call, emit

__all__ = ["call", "emit"]
