"""Signals reach a run once and in their order, before or after a step waits for them; a run tells its status."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from polis.proto import Refused, runtime
from polis.proto.graph import Edge, Graph, GraphInput, GraphOutput, Node
from polis.proto.problems import Overloaded
from polis.runtime.signals import queue
from polis.testing import eventually


@pytest.fixture
def output(ada):
    async def output(run):
        async def look():
            found = await ada.call(runtime.GetRun(run_id=run.id))
            return found if found.state in runtime.TERMINAL else None

        assert (await eventually(look, within_s=6)).state == "succeeded"
        return (await ada.call(runtime.GetOutput(run_id=run.id))).values["y"]

    return output


def signals(*before, **config):
    """A list of items, each of which waits for a signal of the name `go`."""
    nodes = {"split": Node("split"), "wait": Node("signal", {"name": "go"} | config, concurrency=1)}
    chain = ["split", *(f"b{n}" for n in range(len(before))), "wait"]
    nodes |= {f"b{n}": node for n, node in enumerate(before)}
    return Graph(
        nodes=nodes,
        edges=tuple(Edge(f"{a}.out", f"{b}.in") for a, b in pairwise(chain)),
        inputs={"x": GraphInput("split.in")},
        outputs={"y": GraphOutput("wait.out", many=True)},
    )


async def test_signals_are_taken_in_their_order_whether_they_come_before_or_after(
    ada, start, output, effects
):
    effects.gate.clear()
    run = await start(signals(Node("test.effect", concurrency=1)), [1, 2, 3, 4])
    for number in range(2):
        answer = await ada.call(runtime.SignalRun(run_id=run.id, name="go", payload={"n": number}))
        assert answer == runtime.Signalled(taken=False, queued=number + 1)
    effects.gate.set()

    for number in (2, 3):
        await ada.call(runtime.SignalRun(run_id=run.id, name="go", payload={"n": number}))

    assert await output(run) == [{"n": number} for number in range(4)]


async def test_a_signal_under_an_idempotency_key_counts_once(ada, start, output, effects):
    run = await start(signals(), [1, 2])
    once = [
        await ada.caller.call(
            runtime.SignalRun(run_id=run.id, name="go", payload=1), token=ada.token, idempotency_key="k"
        )
        for _ in range(3)
    ]
    await ada.call(runtime.SignalRun(run_id=run.id, name="go", payload=2))

    assert await output(run) == [1, 2]
    assert once == [once[0]] * 3


async def test_who_sends_more_signals_than_a_run_keeps_is_to_come_back_later(
    ada, start, monkeypatch, refused
):
    monkeypatch.setattr(queue, "MOST_QUEUED", 3)
    run = await start(signals(), [1])
    for _ in range(3):
        await ada.call(runtime.SignalRun(run_id=run.id, name="nobody"))

    problem = await refused(ada.call(runtime.SignalRun(run_id=run.id, name="nobody")))

    assert isinstance(problem, Overloaded)
    await ada.call(runtime.CancelRun(run_id=run.id))
    problem = await refused(ada.call(runtime.SignalRun(run_id=run.id, name="go")))
    assert isinstance(problem, runtime.RunEnded)


async def test_a_signal_and_the_time_to_wait_for_it_that_meet_have_one_outcome(ada, start, effects):
    graph = Graph(
        nodes={"n0": Node("signal", {"name": "go", "timeout_s": 0.15})},
        inputs={"x": GraphInput("n0.in")},
        outputs={"y": GraphOutput("n0.out"), "late": GraphOutput("n0.timeout")},
    )
    runs = [await start(graph, n) for n in range(12)]

    async def send(run, after):
        """Whether it was taken; None for one that is kept, as one that comes before the run asks for it."""
        await asyncio.sleep(after)
        try:
            became = await ada.call(runtime.SignalRun(run_id=run.id, name="go", payload="signal"))
        except Refused:
            return False
        return became.taken or None

    taken = await asyncio.gather(*(send(run, n * 0.02) for n, run in enumerate(runs)))

    for run, was_taken in zip(runs, taken, strict=True):

        async def look(run=run):
            return (await ada.call(runtime.GetRun(run_id=run.id))).state == "succeeded"

        await eventually(look, within_s=6)
        values = (await ada.call(runtime.GetOutput(run_id=run.id))).values
        assert (values["y"], values["late"] is None) in (("signal", True), (None, False))
        if was_taken is not None:
            assert (values["y"] == "signal") == was_taken


async def test_a_run_tells_its_status(ada, start, output):
    graph = Graph(
        nodes={
            "split": Node("split"),
            "tell": Node("status", {"name": "done", "expression": "item * 10"}),
            "whole": Node("status", {"name": "whole"}),
        },
        edges=(Edge("split.out", "tell.in"), Edge("tell.out", "whole.in")),
        inputs={"x": GraphInput("split.in")},
        outputs={"y": GraphOutput("whole.out", many=True)},
    )
    run = await start(graph, [1, 2, 3])

    assert await output(run) == [1, 2, 3]
    told = await ada.call(runtime.QueryRun(run_id=run.id))
    assert [(status.name, status.value) for status in told.statuses] == [("done", 30), ("whole", 3)]
