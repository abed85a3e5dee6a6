"""What was told before a wait was followed: looked at once, so that nothing is lost between its beginning and the first look.

A wait is there (committed), then its events are followed, then the stream is read from the wait's beginning on: an event is
in what is read, or it is delivered later and finds the wait.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from polis.bus import BusError
from polis.proto import Refused
from polis.runtime.hearing import opening, rows
from polis.service.rounds import rounds
from polis.telemetry import log

if TYPE_CHECKING:
    from polis.db import Database
    from polis.runtime.hearing.hear import Hearing
    from polis.runtime.hearing.rows import Listener
    from polis.runtime.hearing.told import Stream
    from polis.runtime.triggers.feed import Feed

LOOK_S = 1.0
_AGAIN_S = 0.2
_GROUPS_AT_ONCE = 8


class Before:
    """Looks at what was told before, for as long as the process lives."""

    def __init__(self, database: Database, stream: Stream, hearing: Hearing, feed: Feed) -> None:
        self._stream = stream
        self._database = database
        self._hearing = hearing
        self._feed = feed
        self.wake = asyncio.Event()

    async def run(self) -> None:
        opening.begun.add(self.wake)
        await rounds("what was told before", self._turn, every_s=LOOK_S, wake=self.wake)

    async def _turn(self) -> float | None:
        async with self._database.across_orgs() as tx:
            taken = await rows.take_new(tx)
        if not taken:
            return None
        groups: defaultdict[tuple[str, str, str], list[Listener]] = defaultdict(list)
        for wait in taken:
            groups[str(wait.org_id), wait.event, wait.entity].append(wait)
        slots = asyncio.Semaphore(_GROUPS_AT_ONCE)
        followed = await self._feed.follows({(event, org) for org, event, _ in groups})
        done = await asyncio.gather(*(self._look(group, slots, followed) for group in groups.values()))
        async with self._database.across_orgs() as tx:
            for again_s, those in ((None, True), (_AGAIN_S, False)):
                settled = [
                    w for group, ok in zip(groups.values(), done, strict=True) for w in group if ok is those
                ]
                if settled:
                    await rows.looked(tx, settled, again_s)
        return 0.0 if len(taken) == rows.AT_ONCE else None if all(done) else _AGAIN_S

    async def _look(self, waits: Sequence[Listener], slots: asyncio.Semaphore, followed: bool) -> bool:  # noqa: FBT001 - one of three
        """Bring what was told to waits for the same; whether that is done."""
        if not followed:
            return False
        async with slots:
            try:
                await self._hearing.bring_in_order(self._stream.since(waits), waits)
            except (Refused, BusError) as error:
                log.warning("events.postponed", event_type=waits[0].event, error=repr(error))
                return False
            except Exception as error:  # noqa: BLE001 - a defect of ours must not keep the others waiting
                log.error("events.unheard", event_type=waits[0].event, exc_info=error)
                return False
        return True
