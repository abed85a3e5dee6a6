"""The order of an entity's events where several processes take from one consumer.

The broker gives each event to one of them, so what was told before it may be in the hands of another, or of one that died.
Who is about to handle an event looks for those before it that nobody has acknowledged, and handles them first: the inbox lets
each have its effect once, whoever comes first.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING

from polis.bus.follow import settled_up_to
from polis.bus.past import past
from polis.bus.permissions import stream_name

if TYPE_CHECKING:
    from polis.bus import Bus
    from polis.bus.jetstream import Delivery
    from polis.bus.past import Told

_ENTITIES = 10_000
"""Of which it is known how far they were handled here; of the others a little more is read."""


class Earlier:
    """An event that was delivered to another process, as if it had been delivered here. Nobody is told what becomes of it."""

    num_delivered = 1

    def __init__(self, told: Told) -> None:
        self.subject = told.subject
        self.stream_seq = told.seq
        self.headers: Mapping[str, str] = told.headers
        self.payload = told.payload

    def ack(self) -> None: ...

    def term(self, reason: str = "") -> None: ...

    def in_progress(self) -> None: ...


class Order:
    """What one process knows of a consumer that it shares. facts: those that the consumer delivers."""

    def __init__(self, bus: Bus, source: str, durable: str, facts: frozenset[str]) -> None:
        self._bus = bus
        self._source = source
        self._durable = durable
        self._facts = facts
        self._last = 0
        self._elsewhere = 0
        """Up to here in the stream others may have been given something."""
        self._is_unsure = True
        self._settled = 0
        """Up to here all is acknowledged."""
        self._asking: asyncio.Future[int] | None = None
        self._handled: OrderedDict[str, int] = OrderedDict()
        bus.on_reconnect.append(self._forget)

    def note(self, delivery: Delivery) -> None:
        """Each delivery, as it comes: a gap in the consumer's numbers was given to others."""
        self._is_unsure |= delivery.consumer_seq != self._last + 1
        self._last = delivery.consumer_seq
        if self._is_unsure:
            self._elsewhere = max(self._elsewhere, delivery.stream_seq - 1)
            self._is_unsure = (
                delivery.num_delivered > 1
            )  # what comes again stands where it stood: more was given since

    async def before(self, event: Delivery | Earlier) -> list[Earlier]:
        """What was told of the same entity and may not have had its effect. A BusError."""
        if not self._from(event):
            return []
        self._settled = max(self._settled, await self._ask())
        start = self._from(event)
        if not start:
            return []
        _, _, _, org, entity = event.subject.split(".")
        found = []
        async with aclosing(
            past(self._bus, self._source, f"event.{self._source}.*.{org}.{entity}", start)
        ) as stored:
            async for told in stored:
                if told.seq >= event.stream_seq:
                    break
                if told.subject.split(".")[2] in self._facts:
                    found.append(Earlier(told))
        return found

    def handled(self, event: Delivery | Earlier) -> None:
        """It has come to its end here, behind all before it."""
        entity = event.subject.rpartition(".")[2]
        self._handled[entity] = max(event.stream_seq, self._handled.get(entity, 0))
        self._handled.move_to_end(entity)
        if len(self._handled) > _ENTITIES:
            self._handled.popitem(last=False)

    def _from(self, event: Delivery | Earlier) -> int:
        """From where on something may be missing; 0: nothing is."""
        entity = event.subject.rpartition(".")[2]
        known = max(self._settled, self._handled.get(entity, 0))
        return known + 1 if known < min(self._elsewhere, event.stream_seq - 1) else 0

    async def _ask(self) -> int:
        """Those who ask together share an answer: what was acknowledged a moment ago still is."""
        if self._asking is None:
            stream = stream_name(self._source)
            self._asking = asyncio.ensure_future(settled_up_to(self._bus, stream, self._durable))
            self._asking.add_done_callback(self._asked)
        return await asyncio.shield(self._asking)

    def _asked(self, _: object) -> None:
        self._asking = None

    def _forget(self) -> None:
        """The broker may have lost its streams: their numbers begin anew then."""
        self._is_unsure, self._settled, self._elsewhere = True, 0, 0
        self._handled.clear()
