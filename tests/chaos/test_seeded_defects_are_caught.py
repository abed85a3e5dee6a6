"""Bugs that are put in on purpose: the checkers of these tests have to report each of them, by its name."""

from __future__ import annotations

from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest

from polis.db.horizon import Horizon
from polis.proto.contract import event_type_of
from polis.proto.identity import AgentDeleted
from polis.service.kernel import open_kernel
from polis.service.relay import Relay
from tests.chaos.history import violations

COUNT = 60


async def crash_while_handling(flow, **options):
    """One event after another, with a consumer that kills itself in the midst of some; what the checker says."""
    flow.start("relay")
    for number in range(COUNT):
        assert await flow.emit(number % 8 + 1) == "ok"
    await flow.published()
    await flow.keep("inbox", **options)
    await flow.consumed(within_s=30)
    return violations(flow.history, await flow.effects())


async def test_an_acknowledgement_before_the_commit_is_caught(flow):
    found = await crash_while_handling(flow, crash_before=0.05, defect="acknowledged before the commit")

    assert "lost" in found
    assert "doubled" not in found


async def test_a_consumer_without_an_inbox_is_caught(flow):
    found = await crash_while_handling(flow, crash_after=0.05, defect="inbox skipped")

    assert "doubled" in found
    assert "lost" not in found


async def test_the_same_crashes_without_a_defect_violate_nothing(flow):
    assert await crash_while_handling(flow, crash_before=0.025, crash_after=0.025) == {}


def behind_the_last(_horizon, numbers, **_):
    """A reader of what is behind the last one it has seen, as if numbers were committed in their order."""
    return Horizon(max(numbers))


@pytest.mark.parametrize("defect", [False, True], ids=["not published", "behind the last"])
async def test_an_outbox_reader_that_trusts_the_order_of_numbers_is_caught(defect, flow, monkeypatch):
    if defect:
        monkeypatch.setattr(Horizon, "passed", behind_the_last)
    async with open_kernel("identity", flow.stage.settings("identity")) as kernel:
        kernel.tasks.start(Relay(kernel).run())
        await overtaken(flow)
        await flow.emit(1)
        await flow.has_stored(2 if defect else 3)
        await flow.unmoved()

    found = await flow.check_stream()
    assert found == ({"stream lost": ["1"]} if defect else {})


async def overtaken(flow):
    """Event 1 takes its number in the outbox first and commits after event 2, which is published in between."""
    flow.sent = 1
    with flow.history.invoke("1"):
        event = AgentDeleted(UUID(int=1), UUID(int=8))
        kind = event_type_of(AgentDeleted)
        slow = await asyncpg.connect(flow.stage.database.admin_url)
        async with slow.transaction():
            await slow.execute(
                "insert into identity.outbox (id, org_id, subject, fact, entity, payload) values ($1, $2, $3, $4, $5, $6)",
                uuid4(), event.org_id, kind.subject(event), kind.fact, str(event.agent_id), msgspec.json.encode(event),
            )  # fmt: skip
            assert await flow.emit(2) == "ok"
            await flow.has_stored(1)
        await slow.close()
