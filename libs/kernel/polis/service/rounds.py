"""What a process does again and again for as long as it lives: when it is woken, or after a while."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from polis.bus import BusError
from polis.proto import Refused
from polis.telemetry import log

Turn = Callable[[], Awaitable[float | None]]


async def rounds(
    what: str, turn: Turn, *, every_s: float, wake: asyncio.Event | None = None, again_s: float | None = None
) -> None:
    """Do a turn, and another one when woken, or after as many seconds as the turn says; `every_s` at the most.

    An outage is waited out: a turn that it ended is done again after `again_s`, or `every_s`.
    """
    wake = asyncio.Event() if wake is None else wake
    while True:
        wake.clear()
        try:
            said = await turn()
            rest_s = every_s if said is None else min(max(said, 0.0), every_s)
        except (Refused, BusError) as error:
            log.warning("round.postponed", what=what, error=repr(error))
            rest_s = every_s if again_s is None else again_s
        try:
            async with asyncio.timeout(rest_s):
                await wake.wait()
        except TimeoutError:
            pass
