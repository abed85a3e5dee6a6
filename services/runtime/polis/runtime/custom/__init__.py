"""Components that orgs bring themselves: scripts, and work that is done by workers outside."""

from polis.runtime.custom.execution import executed

__all__ = ["executed"]
