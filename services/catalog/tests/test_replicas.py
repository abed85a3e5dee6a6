"""Two processes of one service: one of them publishes what both have committed, and what both hear has its effect in order."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from polis.bus.permissions import ADMIN
from polis.bus.stream import store
from polis.proto.catalog import ChangeSetApplied
from polis.proto.identity import Conditions, Grant, GrantGiven, GrantTaken, Holder
from polis.service import envelope, relay
from polis.testing import eventually

GRANTS = 30


@pytest.fixture
async def second(stage, running):
    return await stage.start("catalog")


async def test_what_a_process_commits_that_does_not_lead_is_published_without_waiting_for_the_next_look(
    running, second, stage, monkeypatch
):
    monkeypatch.setattr(relay, "POLL_S", 3600)
    heard, bus = asyncio.Queue(), await stage.bus(ADMIN)
    await bus.subscribe("event.catalog.change_set_applied.>", heard.put_nowait)

    for n in range(20):
        change, database = uuid4(), (running, second)[n % 2].kernel.database
        async with database.transaction([uuid4()]) as tx:
            await tx.emit(ChangeSetApplied(tx.org_ids[0], change, 1))
        told = await asyncio.wait_for(heard.get(), 30)
        assert told.subject.endswith(str(change))


async def test_a_defect_of_one_look_holds_events_up_for_a_moment_and_not_for_good(
    running, stage, monkeypatch
):
    heard, bus = asyncio.Queue(), await stage.bus(ADMIN)
    await bus.subscribe("event.catalog.change_set_applied.>", heard.put_nowait)
    pending, looks = relay.outbox.pending, []

    async def broken_once(*arguments, **named):
        looks.append(arguments)
        if len(looks) == 1:
            raise ZeroDivisionError
        return await pending(*arguments, **named)

    monkeypatch.setattr(relay.outbox, "pending", broken_once)
    async with running.kernel.database.transaction([uuid4()]) as tx:
        await tx.emit(ChangeSetApplied(tx.org_ids[0], uuid4(), 1))

    assert await asyncio.wait_for(heard.get(), 30)
    assert len(looks) > 1


async def test_a_grant_that_was_taken_at_once_is_gone_whoever_heard_which_event_first(running, second, stage):
    bus, org_id, told = await stage.bus(ADMIN), uuid4(), []
    for _ in range(GRANTS):
        grant = Grant(
            uuid4(),
            org_id,
            Holder("everyone"),
            "catalog:read",
            "**",
            uuid4(),
            datetime.now(UTC),
            Conditions(),
        )
        for event in (GrantGiven(org_id, grant.id, grant), GrantTaken(org_id, grant.id)):
            told.append(uuid4())
            subject, headers, payload = envelope.encode(event, told[-1], datetime.now(UTC))
            await store(bus, subject, payload, headers, msg_id=str(told[-1]), timeout_s=30)

    await eventually(lambda: _heard(running, told), within_s=60)

    async with second.kernel.database.across_orgs() as tx:
        assert await tx.value("select count(*) from catalog.grants where org_id = $1", org_id) == 0


async def _heard(running, told):
    async with running.kernel.database.across_orgs() as tx:
        found = await tx.value("select count(*) from catalog.inbox where event_id = any($1::uuid[])", told)
    return found == len(told)
