"""G11. Events that crash their handler, hang in it or cannot be read: all others are handled, these are kept as dead."""

from __future__ import annotations

from uuid import UUID

import asyncpg

from polis.proto.contract import event_type_of
from polis.proto.identity import AgentDeleted
from polis.service import inbox
from polis.service.inbox import ATTEMPTS
from polis.service.kernel import open_kernel
from polis.service.relay import Relay
from polis.testing import eventually
from tests.chaos.broker import stored
from tests.chaos.flow import DURABLE
from tests.chaos.history import violations
from tests.chaos.member import HANDLER_TIMEOUT_S

POISONED = (1, 2, 3)
"""Entities with poison among their events; the others have none."""


async def spoil(flow, numbers):
    """Payloads that are no event of the contract."""
    orgs = ", ".join(f"'{UUID(int=number)}'" for number in numbers)
    await flow.execute(f"update identity.outbox set payload = 'not JSON' where org_id in ({orgs})")


async def test_good_events_pass_and_dead_letters_hold_exactly_the_bad_ones(flow, dice, full):
    count = 10_000 if full else 400
    mine = [n for n in range(1, count + 1) if n % 8 + 1 in POISONED]
    bad = dice.sample(mine, max(6, 3 * count // 100))
    crashing, hanging, unreadable = (frozenset(bad[i::3]) for i in range(3))
    for number in range(1, count + 1):
        assert await flow.emit(number % 8 + 1) == "ok"
    await spoil(flow, unreadable)
    flow.start("inbox", crashing=crashing, hanging=hanging)
    flow.start("relay")
    await flow.published(within_s=60)
    await flow.consumed(within_s=30 + len(bad) * ATTEMPTS * HANDLER_TIMEOUT_S)

    effects = await flow.effects()
    for operation in flow.history.operations:
        if int(operation.key) in bad:
            operation.outcome = "fail"
    assert violations(flow.history, effects) == {}
    dead = await stored(flow.bus, "DEAD")
    assert sorted(event_number(m) for m in dead) == sorted(bad)
    fact = event_type_of(AgentDeleted).fact
    ids = await flow.ids()
    for letter in dead:
        number = event_number(letter)
        assert letter.subject == f"dead.identity.{fact}"
        assert letter.headers["ce-id"] == ids[number]
        assert letter.headers["ce-type"] == f"polis.identity.{fact}"
        assert letter.headers["Polis-Consumer"] == DURABLE
        assert letter.headers["Polis-Subject"].startswith(f"event.identity.{fact}.")
        expected = {True: "ArithmeticError", False: "TimeoutError"}[number in crashing]
        assert ("NotAnEvent" if number in unreadable else expected) in letter.headers["Polis-Error"]
    clean = await flow.fetch(
        "select extract(epoch from max(at) - min(at))::float as s from runtime.effects where entity > $1",
        max(POISONED),
    )
    slow = await flow.fetch("select extract(epoch from max(at) - min(at))::float as s from runtime.effects")
    print(f"clean entities took {clean[0]['s']:.2f} s, those with poison {slow[0]['s']:.2f} s")
    assert clean[0]["s"] < slow[0]["s"]


def event_number(message):
    return int(message.headers["Polis-Subject"].split(".")[3].replace("-", ""), 16)


async def test_an_event_whose_listener_waits_for_the_database_is_no_poison(flow, monkeypatch):
    monkeypatch.setattr(inbox, "HANDLER_TIMEOUT_S", 0.05)
    monkeypatch.setattr(inbox, "_OUTAGE_S", (0.01,))
    tried = []

    async def write(event, ctx):
        tried.append(event.org_id.int)
        await ctx.tx.execute(
            "insert into runtime.effects (number, entity) values ($1, $2)",
            event.org_id.int,
            event.agent_id.int,
        )

    assert await flow.emit(1) == "ok"
    blocker = await asyncpg.connect(flow.stage.database.admin_url)
    async with (
        open_kernel("identity", flow.stage.settings("identity")) as told,
        open_kernel("runtime", flow.stage.settings("runtime")) as kernel,
    ):
        async with blocker.transaction():
            await blocker.execute("lock table runtime.effects in share row exclusive mode")
            told.tasks.start(Relay(told).run())
            inbox.Inbox(kernel, None, {AgentDeleted: write}).start()
            await eventually(lambda: len(tried) > 2 * ATTEMPTS, within_s=30)
        await blocker.close()
        await eventually(flow.effects, within_s=30)

    assert await flow.effects() == ["1"]
    assert await stored(flow.bus, "DEAD") == []
