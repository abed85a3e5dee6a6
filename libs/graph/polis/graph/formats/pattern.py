"""RE2: patterns that take linear time, whatever the pattern and the text."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from polis.graph.faults import Malformed

PROGRAM_BYTES = 8 * 1024 * 1024
"""Memory of a compiled pattern; `((a{100}){100}){100}` is refused by it."""
COMPILED = 128


@lru_cache(maxsize=COMPILED)
def pattern(source: str, flags: str = "") -> Any:
    """The compiled pattern; Malformed says what the library said."""
    import re2

    options = re2.Options()
    options.max_mem = PROGRAM_BYTES
    options.log_errors = False
    try:
        return re2.compile(f"(?{flags}){source}" if flags else source, options=options)
    except re2.error as error:
        reason = error.args[0] if error.args else "no pattern"
        said = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise Malformed(said[:200]) from None
