"""Whose turn it is: runs get the event loop for a few milliseconds in all, and then whatever else waits for it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context

TURN_S = 0.003
"""How long a run keeps the event loop before others get it."""

Turn = Callable[[], None]


class Turns:
    """The runs of a process that have something to do.

    Those that something has happened to come first. Of those that compute on and on, one has its turn behind them: however many
    there are, they keep nobody waiting for longer than one does.
    """

    __slots__ = ("_called", "_computing", "_woken")

    def __init__(self) -> None:
        self._woken: deque[tuple[Context, Turn]] = deque()
        self._computing: deque[tuple[Context, Turn]] = deque()
        self._called = False

    def soon(self, turn: Turn) -> None:
        """Something has happened to a run."""
        self._woken.append((copy_context(), turn))
        self._call()

    def behind(self, turn: Turn) -> None:
        """A run has used its turn up, and computes on."""
        self._computing.append((copy_context(), turn))
        self._call()

    def _call(self) -> None:
        if not self._called:
            self._called = True
            asyncio.get_running_loop().call_soon(self._give)

    def _give(self) -> None:
        self._called = False
        until = time.monotonic() + TURN_S
        try:
            while self._woken and time.monotonic() < until:
                _take(self._woken)
            if self._computing:
                _take(self._computing)
        finally:
            if self._woken or self._computing:
                self._call()


def _take(waiting: deque[tuple[Context, Turn]]) -> None:
    context, turn = waiting.popleft()
    context.run(turn)
