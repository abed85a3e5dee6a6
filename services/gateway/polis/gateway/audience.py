"""Those who are told the same: a frame is made once for all of them, and written to each in one piece a turn of the loop.

A follower has a view of its topic: how it is told, and what of it. Followers with the same view of the same topic are one
crowd; what a crowd is told in one turn is joined, so that a busy topic costs each of them one write and not one a message.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Protocol

import msgspec

from polis.gateway.websocket import spread
from polis.gateway.websocket.spread import Ring

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polis.gateway.websocket.spread import Writer
    from polis.service import Actor

CROWD = 500
"""Of the largest: so many are written to in one turn of the loop, that none takes long."""


class Thing(Protocol):
    """Something that happened on a topic. What is never kept has the number of what was kept last."""

    @property
    def seq(self) -> int: ...


class View(Protocol):
    """How a follower is told of a topic. Equal ones make equal frames. Each answer is a whole frame, as it is written, or nothing."""

    def __hash__(self) -> int: ...

    def snapshot(self, topic: str, seq: int, data: object) -> bytes: ...

    def events(self, topic: str, seq: int, things: Sequence[Thing]) -> bytes: ...

    def end(self, topic: str, seq: int) -> bytes: ...


class Who(Protocol):
    """Who follows."""

    @property
    def actor(self) -> Actor:
        """Who that is by now."""

    def ended(self, follower: Follower) -> None:
        """All was told: there will be nothing more."""

    def failed(self, follower: Follower, error: Exception) -> None:
        """It follows no more: Refused, Slow, or what should not happen."""


class Follower:
    """One who follows a topic. last: the number up to which it was told, while it is in no crowd.

    passing: what is never kept and was told while it was not there yet.
    """

    __slots__ = ("_told_at", "crowd", "gone", "last", "passing", "task", "topic", "view", "who", "writer")

    def __init__(self, who: Who, writer: Writer, topic: str, view: View) -> None:
        self.who = who
        self.writer = writer
        self.topic = topic
        self.view = view
        self.last = 0
        self.passing: list[Thing] = []
        self.crowd: Crowd | None = None
        self.task: asyncio.Task[None] | None = None
        self.gone = False
        self._told_at = 0.0

    @property
    def told_at(self) -> float:
        """When it was told anything last, by the loop's clock."""
        return self._told_at if self.crowd is None else max(self._told_at, self.crowd.told_at)

    def _write(self, frame: bytes) -> None:
        if not frame:
            return
        self._told_at = asyncio.get_running_loop().time()
        self.writer.write(frame)

    def begin(self, seq: int, snapshot: object) -> None:
        self.last = seq
        self._write(self.view.snapshot(self.topic, seq, snapshot))

    def tell(self, things: Sequence[Thing]) -> None:
        """By itself: what its crowd will not be told any more, or has been told already."""
        self.last = things[-1].seq
        self._write(self.view.events(self.topic, self.last, things))

    def pass_on(self) -> None:
        """Tell what passed meanwhile."""
        if self.passing:
            passed = [msgspec.structs.replace(each, seq=self.last) for each in self.passing]  # type: ignore[type-var] # Structs, all
            self.passing.clear()
            self._write(self.view.events(self.topic, self.last, passed))

    def end(self) -> None:
        self._write(self.view.end(self.topic, self.last))


class Turn:
    """What is due to be written at the end of this turn of the loop. spread: what writes to a large crowd, where it was built."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.spread = spread.native()
        self._due: deque[Crowd] = deque()
        self._scheduled = False

    def add(self, crowd: Crowd) -> None:
        self._due.append(crowd)
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self.loop.call_soon(self._write)

    def _write(self) -> None:
        self._scheduled = False
        written = 0
        while self._due and written < CROWD:
            written += self._due.popleft().flush()
        if self._due:
            self._schedule()


class Crowd:
    """Up to so many with one view. told_at: when they were last written to, by the loop's clock."""

    __slots__ = ("_due", "_frames", "_members", "_ring", "_turn", "told_at")

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._members: dict[Follower, Writer] = {}
        self._ring: Ring | None = None
        """Its members as they are written to in one call, for as long as they are the same."""
        self._frames: list[bytes] = []
        self._due = False
        self.told_at = 0.0

    def __len__(self) -> int:
        return len(self._members)

    def tell(self, frame: bytes) -> None:
        self._frames.append(frame)
        if not self._due:
            self._due = True
            self._turn.add(self)

    def flush(self) -> int:
        """Write what is due; how many were written to."""
        self._due = False
        return self._write()

    def _write(self) -> int:
        frames = self._frames
        if not frames:
            return 0
        self._frames = []
        self.told_at = self._turn.loop.time()
        data = frames[0] if len(frames) == 1 else b"".join(frames)
        count, call = len(self._members), self._turn.spread
        if call is None or count < spread.LEAST:
            for writer in tuple(self._members.values()):
                writer.write(data)
        else:
            self._ring = ring = self._ring or Ring(self._members.values())
            ring.tell(call, data)
        return count

    def add(self, follower: Follower) -> None:
        """From now on, behind what the others are told already."""
        self._write()
        self._members[follower] = follower.writer
        self._ring = None
        follower.crowd = self

    def remove(self, follower: Follower) -> None:
        """What is due is told it still."""
        if self._frames:
            follower.writer.write(b"".join(self._frames))
        self._members.pop(follower, None)
        self._ring = None
        follower.crowd = None


class Audience:
    """The crowds of one topic."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._crowds: dict[tuple[str, View], list[Crowd]] = {}

    def add(self, follower: Follower) -> None:
        crowds = self._crowds.setdefault((follower.topic, follower.view), [])
        crowd = next((crowd for crowd in reversed(crowds) if len(crowd) < CROWD), None)
        if crowd is None:
            crowd = Crowd(self._turn)
            crowds.append(crowd)
        crowd.add(follower)

    def remove(self, follower: Follower) -> None:
        crowd = follower.crowd
        if crowd is None:
            return
        crowd.remove(follower)
        if not len(crowd):
            key = (follower.topic, follower.view)
            self._crowds[key].remove(crowd)
            if not self._crowds[key]:
                del self._crowds[key]

    def tell(self, seq: int, things: Sequence[Thing]) -> None:
        """A frame for each view."""
        for (topic, view), crowds in self._crowds.items():
            if frame := view.events(topic, seq, things):
                for crowd in crowds:
                    crowd.tell(frame)
