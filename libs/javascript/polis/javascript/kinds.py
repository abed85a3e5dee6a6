"""What the engine's own messages mean. It imports nothing of ours: workers read it too."""

from __future__ import annotations

INTERRUPTED = "InternalError: interrupted"
_KINDS = {
    "InternalError: out of memory": "memory",
    "RangeError: Maximum call stack size exceeded": "stack",
    INTERRUPTED: "timeout",
}


def kind_of(message: str) -> str:
    """`timeout`, `memory` or `stack`; anything else is the script's own `error`."""
    return _KINDS.get(message, "error")
