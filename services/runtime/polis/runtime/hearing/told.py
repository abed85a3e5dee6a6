"""What a service's stream holds for waits, in its order: what was told before they began, and what is on its way still."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from polis.bus.follow import heard_up_to
from polis.bus.past import past
from polis.runtime.triggers.following import Followed

if TYPE_CHECKING:
    from polis.bus import Bus
    from polis.runtime.hearing.rows import Listener

_APART_S = 2.0
"""Clocks of the servers are no farther apart."""
_BEHIND_S = 60.0
"""What was stored so long after the look began is delivered anyway: a look at what is told without end has one."""
_MOST_EARLIER = 100
"""Of what is on its way in front of an event: more than are worked at in all, but for what was done behind one that hangs."""


class Stream:
    """Looks into the streams of services."""

    def __init__(self, bus: Bus, service: str) -> None:
        self._bus = bus
        self._service = service

    async def since(self, waits: Sequence[Listener]) -> AsyncGenerator[Followed, None]:
        """What was told since the first of these, which are for one type and entity. A BusError."""
        now = datetime.now(UTC)
        since = min(wait.since for wait in waits) - timedelta(seconds=_APART_S)
        async with aclosing(self._events(waits[0], since)) as told:
            async for stored_at, event in told:
                if (stored_at - now).total_seconds() > _BEHIND_S:
                    return
                yield event

    async def before(self, event: Followed, waits: Sequence[Listener]) -> AsyncGenerator[Followed, None]:
        """What was told in front of an event, and may not have reached these, which are for its type and one entity. A BusError.

        For what was told since they began that is all until it was looked at; then what was delivered and is not done.
        """
        since: datetime | int = min(wait.since for wait in waits) - timedelta(seconds=_APART_S)
        if all(wait.looked for wait in waits):
            source = event.type.partition(".")[0]
            since = await heard_up_to(self._bus, source, self._service) + 1
        left = _MOST_EARLIER
        async with aclosing(self._events(waits[0], since)) as told:
            async for _, earlier in told:
                left -= 1
                if earlier.seq >= event.seq or not left:
                    return
                yield earlier

    async def _events(
        self, like: Listener, since: datetime | int
    ) -> AsyncGenerator[tuple[datetime, Followed], None]:
        subject = f"event.{like.event}.{like.org_id}.{like.entity or '*'}"
        async with aclosing(past(self._bus, like.event.partition(".")[0], subject, since)) as stored:
            async for each in stored:
                event = Followed.of(each.headers, each.payload, each.seq)
                if event is not None:
                    yield each.stored_at, event
