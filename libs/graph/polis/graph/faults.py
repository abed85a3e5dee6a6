"""What is wrong with a content: every fault at once, each with its JSON pointer (RFC 6901)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from polis.proto.problems import Fault


class GraphFaults(Exception):
    """A graph, a component or a schema cannot be used as it is. `faults` has one entry or more."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(f"{fault.pointer or '/'}: {fault.detail}" for fault in self.faults))


class Malformed(ValueError):
    """A text is not of the form that it is said to have; what is wrong with it, for people."""


def pointer(*parts: str | int) -> str:
    """`pointer("nodes", "a/b", 0)` is `/nodes/a~1b/0`; no part at all is the whole document, `""`."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)
