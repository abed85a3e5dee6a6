"""The sessions of leading relays are ended again and again, amid a stream of commits: each event is published once, in order."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager

import pytest

from polis.service.kernel import open_kernel
from polis.service.relay import Relay

END_THE_LEADERS = """
    select pg_terminate_backend(a.pid) from pg_stat_activity a join pg_locks l on l.pid = a.pid
    where l.locktype = 'advisory' and l.granted
        and a.application_name = 'polis-identity-relay' and a.datname = current_database()
"""


@pytest.fixture
def relaying(flow, monkeypatch):
    """A replica that relays; what the flow writes from now on is committed by it."""
    monkeypatch.setattr("polis.db.leadership.POLL_S", 0.02)

    @asynccontextmanager
    async def relaying():
        async with open_kernel("identity", flow.stage.settings("identity")) as kernel:
            kernel.tasks.start(Relay(kernel).run())
            with monkeypatch.context() as patch:
                patch.setattr(flow, "database", kernel.database)
                yield

    return relaying


async def test_a_lead_that_ends_leaves_nothing_out_and_nothing_is_told_twice(flow, relaying, dice, full):
    async with relaying(), relaying():
        async with flow.writing(4):
            for _ in range(100 if full else 5):
                await flow.more(dice.randint(10, 50))
                await flow.execute(END_THE_LEADERS)
        await flow.published()

    assert flow.history.count("ok") == flow.sent, flow.history.summary()
    assert await flow.check_stream() == {}, flow.history.summary()


async def test_what_is_committed_while_a_relay_rests_is_looked_for_and_recorded_together(
    flow, relaying, monkeypatch
):
    """However slow the machine is: so many looks, and no more, fit into the time that it took."""
    monkeypatch.setattr("polis.service.relay.PACE_S", 0.2)
    async with relaying():
        started = time.monotonic()
        await flow.emitted(40)
        await flow.published()

    [row] = await flow.fetch("select count(*) as windows from identity.published")
    assert row["windows"] <= 2 + (time.monotonic() - started) / 0.2
