"""UUIDs that sort by the time they were made (RFC 9562, version 7), so that new rows stand together in an index."""

from __future__ import annotations

import os
import time
from uuid import UUID, SafeUUID

_POOLED = 256
"""Ids for which the system is asked for randomness at once: a call of it for each costs as much as all the rest."""

_last_ms = 0
_counter = 0

# The constructor looks at seven ways to say what an id is, at three times the cost of saying it.
_blank = UUID.__new__
_say_int = UUID.int.__set__  # type: ignore[misc, attr-defined] # a slot
_say_safe = UUID.is_safe.__set__  # type: ignore[misc, attr-defined]
_UNKNOWN = SafeUUID.unknown  # each look at the enumeration costs as much as saying it

_pool: list[int] = []
os.register_at_fork(after_in_child=_pool.clear)  # or both would make the same ids


def _random() -> int:
    """72 bits."""
    try:
        return _pool.pop()
    except IndexError:
        drawn = os.urandom(9 * _POOLED)
        _pool.extend(int.from_bytes(drawn[at : at + 9]) for at in range(9, len(drawn), 9))
        return int.from_bytes(drawn[:9])


def new_id() -> UUID:
    """A UUIDv7; ids of one process made in the same millisecond keep their order."""
    global _last_ms, _counter  # noqa: PLW0603 - the order within a millisecond is per process
    now = time.time_ns() // 1_000_000
    random = _random()
    if now > _last_ms:
        _last_ms, _counter = now, random & 0x7FF
    else:
        _counter += 1
        if _counter > 0xFFF:
            _last_ms, _counter = _last_ms + 1, 0
    made = _blank(UUID)
    _say_int(
        made,
        (_last_ms << 80) | (0x7 << 76) | (_counter << 64) | (0b10 << 62) | (random >> 10 & (1 << 62) - 1),
    )
    _say_safe(made, _UNKNOWN)
    return made
