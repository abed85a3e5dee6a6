"""JSONPath (RFC 9535) of names, indices, slices, wildcards and `..`; no filters and functions."""

from __future__ import annotations

import re
from functools import lru_cache

from msgspec import Struct

from polis.graph.faults import Malformed

_SEGMENT = re.compile(
    r"(?P<deep>\.\.)?(?:\.?(?P<name>[A-Za-z_\u0080-\uffff][\w\u0080-\uffff-]*)|\.?(?P<star>\*)"
    r"|\[(?:(?P<quoted>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")|(?P<all>\*)|(?P<slice>-?\d{0,9}:-?\d{0,9})|(?P<index>-?\d{1,9}))\])"
)


class Segment(Struct, frozen=True):
    """One step of a path: which children, and whether of all descendants."""

    deep: bool
    select: str | int | slice | None


@lru_cache(maxsize=256)
def segments(path: str) -> tuple[Segment, ...]:
    """The steps of a path."""
    if not path.startswith("$"):
        raise Malformed("a path begins with `$`")
    found, at = [], 1
    while at < len(path):
        match = _SEGMENT.match(path, at)
        if match is None or match.end() == at:
            raise Malformed(f"no step of a path at character {at + 1}")
        found.append(Segment(bool(match["deep"]), _selector(match)))
        at = match.end()
    return tuple(found)


def _selector(match: re.Match[str]) -> str | int | slice | None:
    if match["name"]:
        return match["name"]
    if match["quoted"]:
        return re.sub(r"\\(.)", r"\1", match["quoted"][1:-1])
    if match["slice"]:
        start, _, stop = match["slice"].partition(":")
        return slice(int(start) if start else None, int(stop) if stop else None)
    return int(match["index"]) if match["index"] else None
