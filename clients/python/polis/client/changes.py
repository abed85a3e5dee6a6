"""Frames as changes: each once and in order, whatever was cut in between."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from polis.client.frames import frames

if TYPE_CHECKING:
    from polis.client.connection import Connection


@dataclass(frozen=True)
class Change:
    """A snapshot stands for all that was before; a change is one thing that came after. `seq` is what to resume behind."""

    kind: Literal["snapshot", "change"]
    seq: int
    data: dict[str, Any]


async def changes(
    connection: Connection, topic: str, *, after: int | None, attempts: float, **wanted: Any
) -> AsyncIterator[Change]:
    place = _Place(topic, after, sifted=bool(wanted))
    while True:
        place.gap = False
        following = frames(connection, topic, after=place.cursor, attempts=attempts, **wanted)
        async with aclosing(following) as told:
            async for frame in told:
                for change in place.read(frame):
                    yield change
                if place.gap:
                    break
            else:
                return


class _Place:
    """How far somebody has come on a topic: runs and conversations have numbers of their own, others begin anew."""

    def __init__(self, topic: str, after: int | None, *, sifted: bool) -> None:
        self._sifted = sifted
        self._behind = {"run": _transitions, "conversation": _entries}.get(topic.partition("/")[0])
        self.cursor = after if self._behind else None
        self.gap = False

    def read(self, frame: dict[str, Any]) -> Iterator[Change]:
        data = frame.get("data")
        if frame["op"] == "events":
            for each in data or ():
                yield from self._change(each)
            self._pass(frame["seq"])
        elif frame["op"] == "snapshot" and data is not None:
            if self._behind and self.cursor is not None and data.get("recovered", True):
                for each in self._behind(data):
                    yield from self._change(each)
                self._pass(frame["seq"])
                return
            if self._behind:
                self.cursor = frame["seq"]
            yield Change("snapshot", frame["seq"], data)

    def _pass(self, seq: int) -> None:
        """Where not everything is told, a frame's number says what has been passed over."""
        if self._behind and self._sifted:
            self.cursor = max(self.cursor or 0, seq)

    def _change(self, data: dict[str, Any]) -> Iterator[Change]:
        seq = data["seq"]
        if self._behind and not self._sifted and self.cursor is not None and _is_kept(data):
            self.gap = self.gap or seq > self.cursor + 1
            if self.gap or seq <= self.cursor:
                return
            self.cursor = seq
        yield Change("change", seq, data)


def _transitions(snapshot: dict[str, Any]) -> list[dict[str, Any]]:
    return list(snapshot["transitions"])


def _entries(snapshot: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"seq": entry["seq"], "entry": entry} for entry in snapshot["entries"]]


def _is_kept(data: dict[str, Any]) -> bool:
    """Typing, presence, read marks and streams have the number of the last entry, lines that of the last transition: they are told once."""
    return not any(data.get(name) for name in ("typing", "presence", "mark", "stream", "log"))
