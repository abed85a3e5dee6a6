"""What a process does again and again for as long as it lives: when it is woken, or after a while, and never two at a time.

The one way to do so. Trouble is told once a kind and waited out; a defect ends a turn, never the rounds. Whoever started
them ends them: a cancelled turn ends in bounded time, as all that waits for the database or the bus does.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from contextlib import nullcontext
from typing import TYPE_CHECKING, TypeVar

from polis.bus import BusError
from polis.db.leadership import lead
from polis.proto import Refused
from polis.telemetry import log

if TYPE_CHECKING:
    from polis.db import Database

AGAIN_S = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Before a turn that failed is done again: the first time, the second, and so on."""

Turn = Callable[[], Awaitable[float | None]]
T = TypeVar("T")


async def rounds(
    what: str,
    turn: Turn,
    *,
    every_s: float,
    wake: asyncio.Event | None = None,
    together_s: float = 0.0,
    spread: bool = False,
    led: Database | None = None,
) -> None:
    """Do a turn, and another one when woken, or after as many seconds as the turn says; `every_s` at the most.

    together_s: what wakes it within so long leads to one turn. spread: replicas that begin together do not turn together.
    led: only the process that leads in this has turns; two may for a moment, so what a turn writes must be fenced besides.
    """
    wake = asyncio.Event() if wake is None else wake
    trouble = _Trouble(what, every_s)
    if spread:
        await _rest(wake, every_s * _part())
    while True:
        try:
            async with nullcontext(_always) if led is None else lead(led, what) as leading:
                while leading():
                    wake.clear()
                    said = await turn()
                    trouble.over()
                    longest_s = every_s * _part() if spread else every_s
                    if await _rest(wake, longest_s if said is None else min(max(said, 0.0), longest_s)):
                        await asyncio.sleep(together_s)
        except Exception as error:  # noqa: BLE001 - told, and done again: nothing else would do it
            await asyncio.sleep(trouble.told(error))


async def each_by_itself(
    what: str,
    due: Iterable[T],
    do: Callable[[T], Awaitable[object]],
    put_off: Callable[[T], Awaitable[object]],
    *,
    id_of: Callable[[T], object],
) -> None:
    """Do what is due, one after the other. What fails is put off, so that it keeps nothing behind it from being done.

    What will pass, as an outage, keeps all of it from being done, and so ends the turn.
    """
    for one in due:
        try:
            await do(one)
        except Exception as error:
            if isinstance(error, BusError) or (isinstance(error, Refused) and error.problem.retryable):
                raise
            log.error("due.broken", what=what, id=str(id_of(one)), exc_info=error)
            await put_off(one)


async def _rest(wake: asyncio.Event, rest_s: float) -> bool:
    """Whether it was woken."""
    try:
        async with asyncio.timeout(rest_s):
            return await wake.wait()
    except TimeoutError:
        return False


class _Trouble:
    """What keeps turns from being done: each kind is told once until they are, and waited out for longer and longer."""

    def __init__(self, what: str, every_s: float) -> None:
        self._what = what
        self._every_s = every_s
        self._kinds: set[str] = set()
        self._turns = 0

    def told(self, error: Exception) -> float:
        """Seconds until it is tried again."""
        again_s = min(AGAIN_S[min(self._turns, len(AGAIN_S) - 1)], self._every_s)
        self._turns += 1
        kind = error.problem.type if isinstance(error, Refused) else type(error).__name__
        if kind not in self._kinds:
            self._kinds.add(kind)
            if isinstance(error, Refused | BusError):
                log.warning("round.postponed", what=self._what, error=repr(error))
            else:
                log.error("round.failed", what=self._what, exc_info=error)
        return again_s

    def over(self) -> None:
        if self._turns:
            log.info("round.resumed", what=self._what, failed=self._turns)
            self._kinds.clear()
            self._turns = 0


def _always() -> bool:
    return True


def _part() -> float:
    return random.uniform(0.5, 1.0)  # noqa: S311 - no secret
