"""How an item of a run is named: by where it came from, so that its name is the same whenever a run is repeated.

An item is the path of its ancestors: the ordinal of each emission on its way, and, where several wires meet, the wire.
Arrival times are no part of it: two workers, or the same one after a crash, give an item the same key.
"""

from __future__ import annotations

Item = tuple[int, ...]

ROOT: Item = ()
"""The item of what happens once in a node: a source, a collector's end, a value that the run started with."""


def text(item: Item) -> str:
    """The path with dots; `-` for the root."""
    return ".".join(map(str, item)) or "-"


def parse(written: str) -> Item:
    """The item that `text` wrote."""
    return ROOT if written == "-" else tuple(map(int, written.split(".")))


def key(run: str, node: str, item: Item) -> str:
    """The idempotency key of an effect: `run/step/item`."""
    return f"{run}/{node}/{text(item)}"
