"""A point in time by which work has to end; it travels with a request and bounds every wait below it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

SWEEP_S = 0.05
"""How often overdue work is looked for: a deadline holds to within this."""


class Deadline:
    """`at` is in the event loop's time."""

    __slots__ = ("at",)

    def __init__(self, at: float) -> None:
        self.at = at

    @classmethod
    def after(cls, seconds: float) -> Self:
        return cls(asyncio.get_running_loop().time() + seconds)

    def remaining(self) -> float:
        """Seconds that are left; not negative."""
        return max(0.0, self.at - asyncio.get_running_loop().time())


class Watched(Protocol):
    """Something that waits until its deadline at the longest."""

    deadline: Deadline

    def overdue(self) -> None: ...


class Watch:
    """One timer for all that waits: a timer each would cost more than the wait. It rests while nothing waits."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._watched: set[Watched] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, watched: Watched) -> None:
        self._watched.add(watched)
        if self._timer is None:
            self._timer = self.loop.call_later(SWEEP_S, self._sweep)

    def discard(self, watched: Watched) -> None:
        self._watched.discard(watched)

    def __iter__(self) -> Iterator[Watched]:
        return iter(tuple(self._watched))

    def _sweep(self) -> None:
        now = self.loop.time()
        for watched in [w for w in self._watched if w.deadline.at <= now]:
            self._watched.discard(watched)
            watched.overdue()
        self._timer = self.loop.call_later(SWEEP_S, self._sweep) if self._watched else None
