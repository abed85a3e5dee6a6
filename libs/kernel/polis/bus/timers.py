"""Deadlines of many short waits behind one timer of the event loop: a wheel of slots, each a short span of time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic

TICK_S = 0.02
"""How late a deadline may be noticed; it is never noticed early."""
_SLOTS = 512
_MASK = _SLOTS - 1

Slot = dict[int, int]


class Wheel:
    """Calls `on_due(key)` when a key's time is over, unless the key was taken out of its slot before.

    Deadlines beyond one turn of the wheel stay in their slot and are passed over until their turn.
    The loop's timer only runs while something waits.
    """

    __slots__ = ("_clock", "_last", "_on_due", "_slots", "_start", "_timer")

    def __init__(self, on_due: Callable[[int], None], clock: Callable[[], float] = monotonic) -> None:
        # Not the loop's clock: uvloop reads that once a turn, so after a long turn it would end waits early.
        self._clock = clock
        self._on_due = on_due
        self._slots: list[Slot] = [{} for _ in range(_SLOTS)]
        self._start = clock()
        self._last = 0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, key: int, timeout_s: float) -> Slot:
        """Wait for `timeout_s`; the slot that is given back is where the key is taken out again."""
        tick = int((self._clock() - self._start + timeout_s) / TICK_S) + 1
        slot = self._slots[tick & _MASK]
        slot[key] = tick
        if self._timer is None:
            self._last = self._now()
            self._arm()
        return slot

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _now(self) -> int:
        return int((self._clock() - self._start) / TICK_S)

    def _arm(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(TICK_S, self._turn)

    def _turn(self) -> None:
        now = self._now()
        for tick in range(max(self._last + 1, now - _MASK), now + 1):
            slot = self._slots[tick & _MASK]
            for key in [key for key, due in slot.items() if due <= now]:
                del slot[key]
                self._on_due(key)
        self._last = now
        if any(self._slots):
            self._arm()
        else:
            self._timer = None
