"""Two processes of one service: one of them publishes what both have committed."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from polis.bus.permissions import ADMIN
from polis.proto.catalog import ChangeSetApplied
from polis.service import relay


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
