"""UUIDs that sort by the time they were made (RFC 9562, version 7), so that new rows stand together in an index."""

from __future__ import annotations

import os
import time
from uuid import UUID

_last_ms = 0
_counter = 0


def new_id() -> UUID:
    """A UUIDv7; ids of one process made in the same millisecond keep their order."""
    global _last_ms, _counter  # noqa: PLW0603 - the order within a millisecond is per process
    now = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(9))
    if now > _last_ms:
        _last_ms, _counter = now, random & 0x7FF
    else:
        _counter += 1
        if _counter > 0xFFF:
            _last_ms, _counter = _last_ms + 1, 0
    return UUID(
        int=(_last_ms << 80) | (0x7 << 76) | (_counter << 64) | (0b10 << 62) | (random >> 10 & (1 << 62) - 1)
    )
