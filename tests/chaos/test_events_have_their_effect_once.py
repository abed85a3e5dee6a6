"""G5. Events come several times, consumers and the broker are killed at random: every effect happens exactly once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from polis.bus import BusError
from polis.bus import admin as broker_admin
from polis.bus.jetstream import store
from polis.proto.identity import AgentDeleted
from polis.service.envelope import encode
from polis.testing import eventually
from tests.chaos.history import History, violations

COPIES = 3
ENTITIES = 20
WINDOW_S = 0.1
_AT_ONCE = 200


@pytest.fixture
def forgetful(monkeypatch):
    """A stream that takes an id again after a moment, as any stream does after its window."""
    monkeypatch.setattr(broker_admin, "DUPLICATE_WINDOW_S", WINDOW_S)


class Copies:
    """Publishes each event several times under its one id, as a relay does whose store was repaired."""

    def __init__(self, bus, count):
        self._bus = bus
        self.history = History()
        self._ids = {number: uuid4() for number in range(1, count + 1)}

    async def publish(self):
        for _ in range(COPIES):
            for first in range(1, len(self._ids) + 1, _AT_ONCE):
                some = [n for n in range(first, first + _AT_ONCE) if n in self._ids]
                await asyncio.gather(*(self._store(number) for number in some))
            await asyncio.sleep(2 * WINDOW_S)  # until the stream has forgotten the ids
        for number in self._ids:
            with self.history.invoke(str(number)):
                pass

    async def _store(self, number):
        event = AgentDeleted(UUID(int=number), UUID(int=number % ENTITIES + 1))
        msg_id = self._ids[number]
        subject, headers, payload = encode(event, msg_id, datetime.now(UTC))

        async def stored():
            try:
                return await store(self._bus, subject, payload, headers, msg_id=str(msg_id), timeout_s=2)
            except BusError:
                return 0

        await eventually(stored, within_s=60)


async def test_events_that_come_several_times_have_their_effect_once(forgetful, flow, dice, full):
    count = 20_000 if full else 400
    copies = Copies(flow.bus, count)
    rate = 0.0005 if full else 0.004
    consumer = await flow.keep("inbox", seed=dice.randrange(10**6), crash_before=rate, crash_after=rate)

    publishing = asyncio.create_task(copies.publish())
    for _ in range(10 if full else 1):
        seen = len(set(await flow.effects()))
        await flow.has_effects(seen + dice.randint(20, count // 12))
        consumer.kill()
        flow.nats.kill()
        await flow.nats.start()
    await publishing
    await flow.consumed(within_s=300 if full else 30)

    assert (await flow.stored_count()) >= COPIES * count
    assert consumer.starts > 1
    assert violations(copies.history, await flow.effects()) == {}
    print(f"{count} events, {await flow.stored_count()} copies, {consumer.starts} consumers")
