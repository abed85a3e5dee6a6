"""The export: one moment of an org, as the changes that make the same somewhere else."""

from __future__ import annotations

import asyncio

from polis.proto import Refused
from polis.proto.catalog import (
    AddChanges,
    ApplyChangeSet,
    Change,
    CreateChangeSet,
    ExportResources,
    ListChanges,
    PlanChangeSet,
    ResolveResource,
)
from polis.proto.problems import Overloaded
from polis.testing import eventually
from services.catalog.tests.changing import activate, export, put


async def test_an_export_is_the_changes_that_make_the_same_somewhere_else(ada, ben, make, propose):
    shipped = await ada.call(ResolveResource("component", "passthrough"))
    await make(
        put(
            "mine",
            shipped.content | {"key": "mine", "pure": False, "execution": {"type": "external"}},
            "component",
        ),
        activate("mine", kind="component"),
        put(
            "flow", {"nodes": {"a": {"component": "mine"}}, "inputs": {"value": {"target": "a.in"}}}, "graph"
        ),
        activate("flow", kind="graph"),
        put("rule", {"draft": [1.5, "é", None]}, tags=("x",), deprecated=True, visibility="private"),
        activate("rule", "staging", content={"n": 1}),
    )
    exported = await export(ada)

    await make(*exported, client=ben)

    assert await export(ben) == exported
    plan = await ben.call(PlanChangeSet((await propose(*exported, client=ben)).id))
    assert {step.effect for step in plan.steps} == {"none"}


async def test_an_export_of_long_contents_comes_in_messages_of_the_bus(ada, make):
    long = [put(f"rule{n}", {"text": str(n) * 250_000}) for n in range(5)]
    proposed = await ada.call(CreateChangeSet("Long", long[:2], review=False))
    for change in long[2:]:
        await ada.call(AddChanges(proposed.id, (change,)))
    await ada.call(ApplyChangeSet(proposed.id))

    assert [change.key for change in await export(ada)] == [f"rule{n}" for n in range(5)]
    listed, after = [], None
    while True:
        page = await ada.call(ListChanges(proposed.id, after=after))
        listed += page.items
        after = page.next_cursor
        if after is None:
            break
    assert listed == long


async def test_an_export_tells_one_moment_whoever_writes_meanwhile(ada, make):
    names = [f"rule{n:02}" for n in range(30)]
    written = [0]

    async def write():
        turn = written[0] + 1
        extra = put("zzz") if turn % 2 else Change("remove", "policy", "zzz")
        order = names if turn % 2 else names[::-1]
        await make(*(part for n in order for part in (put(n, {"turn": turn}), activate(n, "test"))), extra)
        written[0] = turn

    async def write_on():
        while True:
            await write()

    await write()
    writing = asyncio.create_task(write_on())
    for _ in range(3):
        exported = []
        async for change in ada.stream(ExportResources()):
            exported.append(change)
            if len(exported) in (5, 35):
                before = written[0]
                await eventually(lambda before=before: later(written, before))
        drafts = [c for c in exported if c.action == "put" and c.key in names]
        [turn] = {c.content["turn"] for c in drafts}
        assert [c.key for c in drafts] == names
        assert all(c.content is None for c in exported if c.action == "activate")
        assert len(exported) == 2 * len(names) + turn % 2
    writing.cancel()


async def later(written, before):
    return written[0] > before


async def test_an_org_has_one_export_at_a_time_and_a_reader_who_leaves_makes_room(ada, ben, make, refused):
    await make(*(put(f"rule{n:02}") for n in range(20)))
    exporting = ada.stream(ExportResources())
    await anext(exporting)

    assert isinstance(await refused(export(ada)), Overloaded)
    assert await export(ben) == []

    await exporting.aclose()

    async def again():
        try:
            return len(await export(ada)) == 20
        except Refused:
            return False

    await eventually(again)
