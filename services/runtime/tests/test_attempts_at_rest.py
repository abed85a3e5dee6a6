"""Runs with nothing to do until a far attempt is due: nobody has them meanwhile, and then it is made as it would have been."""

from __future__ import annotations

import asyncio

import pytest

from polis.proto import runtime
from polis.proto.graph import Component, Edge, Graph, GraphInput, GraphOutput, Node, Port, Retry
from polis.runtime import component
from polis.runtime.component import Implementation, StepFailed
from polis.runtime.engine import repeats
from polis.runtime.shell import execution
from polis.runtime.shell.journal import Journal
from polis.testing import eventually

SLOTS = 3
HOURLY = Retry(attempts=10, delay_s=3600, factor=1, max_delay_s=3600)


class Longest:
    """Chance that makes every run wait for as long as may be."""

    def uniform(self, _low, high):
        return high


class Host:
    """What steps call: it is away until it is back. calls: run and number of each attempt."""

    def __init__(self):
        self.away = True
        self.calls: list[tuple[str, int]] = []

    async def call(self, step, inputs):
        self.calls.append((step.key.split("/")[0], step.number))
        if self.away:
            raise StepFailed("test.away", "there is nobody", retryable=True)
        step.emit("out", inputs["in"])

    def of(self, run):
        return [number for run_id, number in self.calls if run_id == str(run.id)]


@pytest.fixture(scope="module")
async def running(stage, actors):
    return await stage.start("runtime", lease_s=1.0, runs_at_once=SLOTS)


@pytest.fixture(scope="module")
def hosted(played):
    host = Host()
    described = Component("test.call", "", inputs={"in": Port()}, outputs={"out": Port()}, pure=False)
    played.components["test.call"] = described
    component._implementations["test.call"] = Implementation(described, task=host.call)
    yield host
    del component._implementations["test.call"]


@pytest.fixture
def host(hosted, monkeypatch):
    monkeypatch.setattr(execution, "_random", Longest())
    hosted.away = True
    return hosted


@pytest.fixture
def at_rest(admin):
    async def at_rest(run):
        async def look():
            row = await admin.fetchrow("select owner, ended_at from runtime.runs where id = $1", run.id)
            return row["owner"] is None and row["ended_at"] is None

        await eventually(look, within_s=10)

    return at_rest


def calls(retry=HOURLY, **fields):
    return Graph(
        nodes={"call": Node("test.call", retry=retry)},
        inputs={"x": GraphInput("call.in")},
        outputs={"y": GraphOutput("call.out")},
        **fields,
    )


async def test_runs_that_wait_for_their_next_attempt_leave_room_for_others(
    ada, host, start, ended, at_rest, effects, graph_of
):
    waiting = [await start(calls()) for _ in range(SLOTS)]
    await eventually(lambda: all(host.of(run) for run in waiting), within_s=10)

    other = await start(graph_of("test.effect"))

    assert (await ended(other)).state == "succeeded"
    for run in waiting:
        await at_rest(run)
        timeline = await ada.call(runtime.GetTimeline(run_id=run.id))
        assert (timeline.run.state, timeline.steps[0].state, timeline.steps[0].attempts) == (
            "running", "retrying", 1,
        )  # fmt: skip
        assert timeline.steps[0].error == "there is nobody"
        assert (await ada.call(runtime.CancelRun(run_id=run.id))).state == "cancelled"
    assert [host.of(run) for run in waiting] == [[1]] * SLOTS


async def test_the_next_attempt_is_made_when_it_is_due_and_counted_on(
    ada, host, start, ended, admin, at_rest, monkeypatch
):
    monkeypatch.setattr(repeats, "NEAR_S", 0.3)
    run = await start(calls(Retry(attempts=3, delay_s=2.0, factor=1)))

    failed = await ended(run)

    assert (failed.state, failed.error.kind) == ("failed", "test.away")
    assert host.of(run) == [1, 2, 3]
    [step] = (await ada.call(runtime.GetTimeline(run_id=run.id))).attempts
    assert [attempt.number for attempt in step.attempts] == [1, 2, 3]
    assert all(attempt.waited_ms >= 1990 for attempt in step.attempts[1:])
    assert await admin.fetchval("select epoch from runtime.runs where id = $1", run.id) == 3
    watched = await ada.call(runtime.WatchRun(run_id=run.id, after=0))
    assert [t.seq for t in watched.transitions] == list(range(1, watched.seq + 1))


async def test_an_attempt_that_becomes_due_while_its_run_is_laid_to_rest_is_made_once_and_not_lost(
    host, start, ended, monkeypatch
):
    """Laying it to rest takes as long as the database is away."""
    monkeypatch.setattr(repeats, "NEAR_S", 0.1)
    back = asyncio.Event()
    flush, held = Journal.flush, []

    async def held_up(journal, given):
        if given.rest is not None and not held:
            held.append(given.run.id)
            await back.wait()
        return await flush(journal, given)

    monkeypatch.setattr(Journal, "flush", held_up)
    again = Retry(attempts=2, delay_s=2.0, factor=1)
    run = await start(calls(again))
    await eventually(lambda: held == [run.id], within_s=10)
    later = await start(calls(again))
    await eventually(lambda: host.of(later), within_s=10)
    host.away = False
    assert (await ended(later)).state == "succeeded"

    assert host.of(run) == [1]
    back.set()
    assert (await ended(run)).state == "succeeded"
    assert host.of(run) == [1, 2]


async def test_what_comes_for_a_run_between_its_attempts_is_taken_at_once(
    ada, host, start, ended, at_rest, admin
):
    graph = Graph(
        nodes={
            "call": Node("test.call", retry=HOURLY),
            "signal": Node("signal", {"name": "go"}),
            "then": Node("passthrough"),
        },
        edges=(Edge("signal.out", "then.in"),),
        inputs={"x": GraphInput("call.in")},
        outputs={"y": GraphOutput("call.out"), "z": GraphOutput("then.out", many=True)},
    )
    run = await start(graph)
    await at_rest(run)

    await ada.call(runtime.SignalRun(run_id=run.id, name="go", payload=1))

    async def states():
        return {step.node: step.state for step in (await ada.call(runtime.GetTimeline(run_id=run.id))).steps}

    async def taken():
        return (await states())["then"] == "succeeded"

    await eventually(taken, within_s=10)
    assert (await states())["call"] == "retrying"
    await at_rest(run)
    assert (await ada.call(runtime.PauseRun(run_id=run.id))).state == "paused"
    await ada.call(runtime.ResumeRun(run_id=run.id))
    await at_rest(run)
    assert (await ada.call(runtime.CancelRun(run_id=run.id))).state == "cancelled"
    assert host.of(run) == [1]


async def test_a_run_that_rests_until_an_attempt_still_ends_at_its_time(host, start, ended):
    run = await start(calls(timeout_s=1.5))

    failed = await ended(run)

    assert (failed.state, failed.error.kind, failed.error.step) == ("failed", "run.timeout", "call")
    assert host.of(run) == [1]


async def test_a_run_that_is_made_from_one_that_waited_for_an_attempt_makes_its_first_one_at_once(
    ada, host, start, ended, at_rest
):
    run = await start(calls())
    await at_rest(run)
    await ada.call(runtime.CancelRun(run_id=run.id))
    host.away = False

    again = await ada.call(runtime.RetryRun(run_id=run.id))

    assert (await ended(again)).state == "succeeded"
    assert host.of(again) == [1]
