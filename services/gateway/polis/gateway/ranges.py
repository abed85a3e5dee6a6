"""A part of a file (RFC 9110 14): one range of bytes; of several, or of another unit, nothing is made."""

from __future__ import annotations

import re
from typing import NamedTuple

_ONE = re.compile(r"bytes=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*")


class Part(NamedTuple):
    """Bytes from `start` up to and without `end`."""

    start: int
    end: int


class Unsatisfiable(Exception):
    """No byte of the file lies in the range."""


def part_of(header: str, size: int) -> Part | None:
    """What `Range` asks for of a file of this size; None: all of it. Unsatisfiable."""
    found = _ONE.fullmatch(header.strip())
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        last = int(found[2])
        if not last or not size:
            raise Unsatisfiable
        return Part(max(0, size - last), size)
    start, end = int(found[1]), int(found[2]) + 1 if found[2] else size
    if found[2] and end <= start:
        return None
    if start >= size:
        raise Unsatisfiable
    return Part(start, min(end, size))
