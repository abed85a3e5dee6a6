"""How an item of a run is named: by where it came from, so that its name is the same whenever a run is repeated.

An item is the path of its ancestors: the ordinal of each emission on its way, and, where several wires meet, the wire.
Arrival times are no part of it: two workers, or the same one after a crash, give an item the same key. In a nested graph
the outer item stands first, then the number of the body's turn, written as `-1 - number`, then the inner item.
"""

from __future__ import annotations

import re

Item = tuple[int, ...]

ROOT: Item = ()
"""The item of what happens once in a node: a source, a collector's end, a value that the run started with."""

_PARTS = re.compile(r"([./])(\d+)")


def inside(outer: Item, number: int) -> Item:
    """What the items of a body begin with, in its turn of this number."""
    return (*outer, -1 - number)


def text(item: Item) -> str:
    """The path with dots, `-` for the root; the turn of a body behind a slash: `1.2/0.3`."""
    written = "".join(f".{part}" if part >= 0 else f"/{-1 - part}" for part in item)
    return written[1:] if written.startswith(".") else "-" + written


def parse(written: str) -> Item:
    """The item that `text` wrote."""
    parts = _PARTS.findall(written[1:] if written.startswith("-") else "." + written)
    return tuple(int(number) if mark == "." else -1 - int(number) for mark, number in parts)


def key(run: str, node: str, item: Item) -> str:
    """The idempotency key of an effect: `run/step/item`."""
    return f"{run}/{node}/{text(item)}"
