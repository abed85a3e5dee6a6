"""How the statements of runs find their rows: the plans that are made on the first day are kept while the tables grow."""

from __future__ import annotations

import asyncio
import re

import pytest

from polis.db.connections import Lease
from polis.proto import runtime
from polis.proto.graph import Edge, Graph, GraphInput, GraphOutput, Node
from polis.testing import eventually
from polis.testing.plans import scans

GROWING = {"runs", "waits", "journal", "transitions", "signals", "asks", "jobs", "event_waits"}
"""Tables that hold as much as an org has runs."""
FEW = {
    "runs_open_by_owner", "runs_to_wake", "waits_due", "asks_open_by_next", "runs_untold", "event_waits_to_look",
    "event_waits_heard",
}  # fmt: skip
"""Indexes that are read from one end, or hold only what is at work; or what may be for the same event, which has a bound."""


_BY_RUN = re.compile(r"\b(run_id|parent_id|id) = ")


@pytest.fixture
def statements(monkeypatch):
    """What is executed from now on."""
    seen: dict[str, None] = {}
    fetch, execute = Lease.fetch, Lease.execute

    async def recorded_fetch(lease, sql, args=()):
        if sql.partition(" ")[0] not in (
            "begin",
            "commit",
            "set",
        ):  # the relay's, now and then: they read nothing
            seen[sql] = None
        return await fetch(lease, sql, args)

    async def recorded_execute(lease, sql, args=()):
        if args:
            seen[sql] = None
        return await execute(lease, sql, args)

    monkeypatch.setattr(Lease, "fetch", recorded_fetch)
    monkeypatch.setattr(Lease, "execute", recorded_execute)
    return seen


@pytest.fixture
async def ended(ada):
    async def ended(run):
        async def look():
            return (await ada.call(runtime.GetRun(run_id=run.id))).state in runtime.TERMINAL

        await eventually(look, within_s=10)

    return ended


async def test_nothing_reads_all_of_an_org_s_runs_or_waits_to_find_one(
    ada, first_day, played, effects, statements, ended
):
    """PostgreSQL takes an empty table for one of a few rows, any index for as good as any other, and keeps to it."""
    played.graphs["timer"] = line(Node("test.effect"), Node("wait", config={"seconds": 0.3}))
    played.graphs["signal"] = line(Node("passthrough"), Node("signal", config={"name": "go"}))
    timers = [await ada.call(runtime.StartRun(graph="timer", input={"x": 1})) for _ in range(2)]
    played.graphs["heard"] = line(
        Node("event.emit", config={"topic": "paid"}),
        Node("event.wait", config={"type": "runtime.run_emitted"}),
    )
    timers.append(await ada.call(runtime.StartRun(graph="heard", input={"x": 1})))
    signalled, cancelled = [
        await ada.call(runtime.StartRun(graph="signal", input={"x": 1})) for _ in range(2)
    ]
    await ada.call(runtime.SignalRun(run_id=signalled.id, name="go"))
    await ada.call(runtime.PauseRun(run_id=cancelled.id))
    await ada.call(runtime.ResumeRun(run_id=cancelled.id))
    await asyncio.gather(*(ended(run) for run in (*timers, signalled)))
    await ada.call(runtime.CancelRun(run_id=cancelled.id))

    found = {sql: [at async for at in astray(first_day, sql)] for sql in tuple(statements)}

    assert len(found) > 20
    assert {sql: scans for sql, scans in found.items() if scans} == {}


def line(first, second):
    return Graph(
        nodes={"n0": first, "n1": second},
        edges=(Edge("n0.out", "n1.in"),),
        inputs={"x": GraphInput("n0.in")},
        outputs={"y": GraphOutput("n1.out")},
    )


async def astray(admin, sql):
    """The scans of growing tables that do not find rows by their run."""
    async for table, index, condition in scans(admin, sql):
        if table in GROWING and index not in FEW and not _BY_RUN.search(condition):
            yield f"{table} by {index}: {condition}"
