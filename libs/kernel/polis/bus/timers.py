"""Things that are waited for, each until its deadline, behind one timer of the event loop: a wheel of slots."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Generic, TypeVar

V = TypeVar("V")

TICK_S = 0.02
"""How late a deadline may be noticed; it is never noticed early."""
_SLOTS = 512
_MASK = _SLOTS - 1
_COUNT_BITS = 20
_COUNT_MASK = (1 << _COUNT_BITS) - 1


class Wheel(Generic[V]):
    """A table whose entries end by themselves: `on_due(value)` is called unless the entry was popped before.

    A key is the tick of its deadline followed by a running number, so it says which slot holds it. A deadline beyond one
    turn of the wheel stays in its slot and is passed over until its turn. The timer only runs while something waits.
    """

    __slots__ = ("_clock", "_count", "_last", "_on_due", "_slots", "_start", "_timer")

    def __init__(self, on_due: Callable[[V], None], clock: Callable[[], float] = monotonic) -> None:
        # Not the loop's clock: uvloop reads that once a turn, so after a long turn it would end waits early.
        self._clock = clock
        self._on_due = on_due
        self._slots: list[dict[int, V]] = [{} for _ in range(_SLOTS)]
        self._start = clock()
        self._last = 0
        self._count = 0
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return sum(map(len, self._slots))

    def add(self, value: V, timeout_s: float) -> int:
        """Wait for `timeout_s`; the key by which the value can be taken out before."""
        now_s = self._clock() - self._start
        if self._timer is None:
            self._last = int(now_s / TICK_S)
            self._arm()
        tick = int((now_s + timeout_s) / TICK_S) + 1
        if tick <= self._last:
            tick = self._last + 1
        self._count = count = (self._count + 1) & _COUNT_MASK
        key = tick << _COUNT_BITS | count
        self._slots[tick & _MASK][key] = value
        return key

    def pop(self, key: int) -> V | None:
        """The value, which is waited for no longer; None when it is not here (any more)."""
        return self._slots[key >> _COUNT_BITS & _MASK].pop(key, None)

    def items(self) -> Iterator[tuple[int, V]]:
        """What is waited for now; a copy, so that entries may be popped meanwhile."""
        for slot in self._slots:
            if slot:
                yield from tuple(slot.items())

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(TICK_S, self._turn)

    def _turn(self) -> None:
        now = int((self._clock() - self._start) / TICK_S)
        end = (now + 1) << _COUNT_BITS
        for tick in range(max(self._last + 1, now - _MASK), now + 1):
            slot = self._slots[tick & _MASK]
            for key in [key for key in slot if key < end]:
                self._on_due(slot.pop(key))
        self._last = now
        if any(self._slots):
            self._arm()
        else:
            self._timer = None
