"""What a run gives in the end: the messages that its graph's outputs have taken, in their one right order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from polis.runtime.engine.inboxes import MAX_QUEUE
from polis.runtime.engine.provenance import NONE, Made, Origins

if TYPE_CHECKING:
    from polis.runtime.engine.item import Item
    from polis.runtime.engine.program import Program

MAX_OUTPUT_BYTES = 1024 * 1024
"""Bytes of a run's output as JSON: it must fit into one row and one answer."""


class OutputTooLarge(Exception):
    """The outputs together have more bytes than a run may give."""


class Gathered:
    """The outputs of a graph in a graph: they are messages, bounded as those are."""

    __slots__ = ("_program", "_taken", "origins")

    def __init__(self, program: Program) -> None:
        self._program = program
        self._taken: dict[str, list[tuple[Item, object]]] = {}
        self.origins: Origins = NONE

    def take(self, name: str, item: Item, value: object) -> None:
        """A message for an output. OutputTooLarge."""
        if isinstance(value, Made):
            self.origins |= value.origins
            value = value.value
        taken = self._taken.setdefault(name, [])
        program = self._program
        if program.graph.outputs[name].many:
            if len(taken) >= MAX_QUEUE:
                raise OutputTooLarge
            taken.append((item, value))
        elif not taken or name in program.ordered_exits or item > taken[0][0]:
            taken[:] = [(item, value)]

    def values(self) -> dict[str, object]:
        """The last message of each output that had one; all of them, in their one right order, of those that are `many`."""
        given: dict[str, object] = {}
        for name, output in self._program.graph.outputs.items():
            taken = self._taken.get(name, [])
            if output.many:
                if name not in self._program.ordered_exits:
                    taken.sort(key=lambda entry: entry[0])
                given[name] = [value for _, value in taken]
            elif taken:
                given[name] = taken[0][1]
        return given


class Outputs:
    """The outputs of one run. Values of `many` outputs are kept encoded, so what they hold is known at any time."""

    __slots__ = ("_bytes", "_last", "_many", "_ordered")

    def __init__(self, program: Program) -> None:
        self._ordered = program.ordered_exits
        self._many: dict[str, list[tuple[Item, bytes]]] = {}
        self._last: dict[str, tuple[Item, object]] = {}
        self._bytes = 0
        for name, output in program.graph.outputs.items():
            if output.many:
                self._many[name] = []

    def take(self, name: str, item: Item, value: object) -> None:
        """A message for an output. OutputTooLarge as soon as it is certain; one of NO_JSON (`failure`) when it is no JSON value."""
        if isinstance(value, Made):
            value = value.value
        if name in self._many:
            encoded = msgspec.json.encode(value)
            self._bytes += len(encoded) + 1
            if self._bytes > MAX_OUTPUT_BYTES:
                raise OutputTooLarge
            self._many[name].append((item, encoded))
            return
        before = self._last.get(name)
        if before is None or name in self._ordered or item > before[0]:
            self._last[name] = (item, value)

    def encoded(self, program: Program) -> bytes:
        """The JSON object of all outputs: a list for `many`, else the last message or null."""
        values: dict[str, object] = {}
        for name in program.graph.outputs:
            if name in self._many:
                taken = self._many[name]
                if name not in self._ordered:
                    taken.sort(key=lambda entry: entry[0])
                values[name] = [msgspec.Raw(encoded) for _, encoded in taken]
            else:
                values[name] = self._last.get(name, ((), None))[1]
        encoded = msgspec.json.encode(values)
        if len(encoded) > MAX_OUTPUT_BYTES:
            raise OutputTooLarge
        return encoded
