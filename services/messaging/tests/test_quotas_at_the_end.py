"""What a process has set aside for messages is settled when it ends."""

from __future__ import annotations

from uuid import uuid4

from polis.bus.permissions import ADMIN
from polis.messaging.service import service
from polis.proto import messaging as m
from polis.service import blocks, serving
from polis.testing import eventually
from polis.testing.usage import PlayedUsage


async def test_what_was_not_used_comes_back_when_the_process_ends(stage, actors, monkeypatch):
    monkeypatch.setattr(blocks, "LIFE_S", 3600.0)
    usage = await PlayedUsage.on(await stage.bus(ADMIN), "messages")
    ada = actors.person()

    async with serving(service, stage.settings("messaging")) as running:
        async with running.kernel.database.transaction([ada.org_id]) as tx:
            await tx.execute("insert into messaging.quotas (org_id, id) values ($1, $2)", ada.org_id, uuid4())
        made = await ada.call(m.CreateConversation(kind="group"))

        async def counted():
            await ada.call(m.PostMessage(made.id, text="x"))
            return usage.reserved[-1:] and usage.reserved[-1].amount > 1

        await eventually(counted)

    assert usage.told().keys() == {r.reservation_id for r in usage.reserved}
    assert 0 < usage.told()[usage.reserved[-1].reservation_id] < usage.reserved[-1].amount
