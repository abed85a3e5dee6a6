"""Runs wait for events of their org: each takes the first that it is for, once, whatever it is in between."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from uuid import uuid4

import pytest

from polis.proto import runtime
from polis.proto.graph import Edge, Graph, GraphInput, GraphOutput, Node
from polis.runtime.hearing import opening, rows
from polis.testing import eventually

PAID = {"type": "runtime.run_emitted", "condition": "event.data.topic == 'paid' && event.data.data.n == item"}


@pytest.fixture
def start(ada, played):
    async def start(x, *before, concurrency=16, **config):
        chain = ["split", *(f"b{n}" for n in range(len(before))), "wait"]
        nodes = {"split": Node("split"), "wait": Node("event.wait", PAID | config, concurrency=concurrency)}
        key = f"hearing{len(played.graphs)}"
        played.graphs[key] = Graph(
            nodes=nodes | {f"b{n}": node for n, node in enumerate(before)},
            edges=tuple(Edge(f"{a}.out", f"{b}.in") for a, b in pairwise(chain)),
            inputs={"x": GraphInput("split.in")},
            outputs={"y": GraphOutput("wait.out", many=True), "late": GraphOutput("wait.timeout", many=True)},
        )
        return await ada.call(runtime.StartRun(graph=key, input={"x": x}))

    return start


@pytest.fixture
def emit(tell):
    async def emit(org_id, n, topic="paid", about=None):
        await tell(runtime.RunEmitted(org_id, about or uuid4(), "shop", topic, "key", {"n": n}))

    return emit


@pytest.fixture
def heard(ada, ended):
    """What events a run has taken, by their number, and what came in their place."""

    async def heard(run):
        assert (await ended(run)).state == "succeeded"
        values = (await ada.call(runtime.GetOutput(run_id=run.id))).values
        return [event["data"]["data"]["n"] for event in values["y"] or ()], values["late"] or []

    return heard


@pytest.fixture
def waiting(admin):
    """A run of which so many waits are followed, and nothing else is to be done for them."""

    async def waiting(run, count=1, *, is_followed=True):
        async def look():
            return count == await admin.fetchval(
                "select count(*) from runtime.event_waits where run_id = $1 and open and (look_at is null) = $2",
                run.id,
                is_followed,
            )

        await eventually(look, within_s=10)

    return waiting


async def test_a_run_at_rest_takes_the_event_that_it_is_for_and_no_other(
    ada, actors, start, emit, heard, waiting
):
    run = await start([1, 2])
    await waiting(run, 2)
    await emit(actors.person().org_id, 1)
    await emit(ada.org_id, 1, topic="ordered")
    await emit(ada.org_id, 3)

    await emit(ada.org_id, 2)
    await waiting(run, 1)
    await emit(ada.org_id, 1)

    assert await heard(run) == ([1, 2], [])


async def test_an_event_is_found_by_what_it_is_about(ada, start, emit, heard, waiting):
    first, second = uuid4(), uuid4()
    config = {"entity": "item.run", "condition": "event.data.topic == 'paid'"}
    run = await start([{"run": str(first)}, {"run": str(second)}], **config)
    await waiting(run, 2)

    for n, about in enumerate((uuid4(), second, first)):
        await emit(ada.org_id, n, about=about)

    assert await heard(run) == ([2, 1], [])


async def test_what_was_told_before_is_heard_as_far_back_as_the_step_says(ada, start, emit, heard, waiting):
    await emit(ada.org_id, 1)

    assert await heard(await start([1], since_s=300)) == ([1], [])

    run = await start([1], since_s=0)
    await waiting(run)
    await emit(ada.org_id, 1)
    assert await heard(run) == ([1], [])


async def test_what_is_told_in_the_very_moment_is_not_lost(start, heard):
    """The step in front of the wait tells the event itself, and nobody has followed such events of this org before."""
    run = await start(list(range(20)), Node("event.emit", {"topic": "paid", "data": "{'n': item}"}))

    assert await heard(run) == (list(range(20)), [])


async def test_one_wait_behind_the_other_takes_one_event_behind_the_other(ada, start, emit, heard, admin):
    run = await start([1, 2, 3], concurrency=1, condition="event.data.topic == 'paid'", since_s=300)
    for n in range(3):
        await emit(ada.org_id, n)

    taken, _ = await heard(run)

    assert len(set(taken)) == 3
    left = "select count(*) from runtime.event_waits where run_id = $1"
    assert await admin.fetchval(left, run.id) == 1


@pytest.mark.parametrize("is_followed", [True, False])
async def test_of_two_that_are_told_together_the_first_comes_first_though_it_is_heard_last(
    ada, start, emit, heard, waiting, monkeypatch, is_followed
):
    """Also while the wait has just begun, and nobody has looked yet at what was told before."""
    listening, looked_at, held = rows.listening, rows.take_new, []
    over, asked, both = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def late(db, event, entity, at, seq):
        held.append(seq)
        if len(held) == 2:
            both.set()
        await both.wait()
        if seq == min(held):
            await over.wait()
        return await listening(db, event, entity, at, seq)

    async def never(tx):
        asked.set()
        await over.wait()
        return await looked_at(tx)

    config = {"condition": "event.data.topic == 'paid'"}
    await waiting(await start([1], **config))  # these events are followed from now on
    monkeypatch.setattr(rows, "listening", late)
    if not is_followed:
        monkeypatch.setattr(rows, "take_new", never)
        for begun in opening.begun:
            begun.set()
        await asked.wait()
    run = await start([1], **config)
    await waiting(run, is_followed=is_followed)
    try:
        for n in range(2):
            await emit(ada.org_id, n)

        assert await heard(run) == ([0], [])
    finally:
        over.set()


async def test_a_paused_run_hears_and_a_cancelled_one_and_one_that_is_late_do_not(
    ada, start, emit, heard, ended, waiting, admin
):
    paused, cancelled, late = await start([1]), await start([1]), await start([1], timeout_s=0.3)
    assert await heard(late) == ([], [1])
    await waiting(paused)
    await ada.call(runtime.PauseRun(run_id=paused.id))
    await ada.call(runtime.CancelRun(run_id=cancelled.id))

    await emit(ada.org_id, 1)
    await waiting(paused, 0)
    await ada.call(runtime.ResumeRun(run_id=paused.id))

    assert await heard(paused) == ([1], [])
    assert (await ended(cancelled)).state == "cancelled"
    left = "select count(*) from runtime.event_waits where run_id = any($1)"
    assert await admin.fetchval(left, [cancelled.id, late.id]) == 0


async def test_who_may_not_read_such_events_any_more_hears_none(ada, actors, start, emit, ended, waiting):
    run = await start([1])
    await waiting(run)
    actors.gone.add(ada.principal_id)

    await emit(ada.org_id, 1)

    assert (await ended(run)).error.kind == "event.forbidden"


async def test_more_than_an_org_may_have_do_not_wait(ada, start, ended, monkeypatch):
    monkeypatch.setattr(rows, "MOST_ALIKE", 2)

    assert (await ended(await start([1, 2, 3]))).error.kind == "event.too_many"
