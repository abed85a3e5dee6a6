"""Timers: none early, none twice, none forgotten, whatever happens to processes and their clocks meanwhile."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

from polis.proto import runtime
from polis.proto.graph import Edge, Graph, GraphInput, GraphOutput, Node
from polis.testing import eventually

MANY = 120


def later(**config):
    """A timer with an effect behind it."""
    return Graph(
        nodes={"n0": Node("wait", config), "n1": Node("test.effect")},
        edges=(Edge("n0.out", "n1.in"),),
        inputs={"x": GraphInput("n0.in")},
        outputs={"y": GraphOutput("n1.out", many=True)},
    )


async def end(ada, run):
    async def look():
        found = await ada.call(runtime.GetRun(run_id=run.id))
        return found if found.state in runtime.TERMINAL else None

    return await eventually(look, within_s=10)


async def test_a_timer_is_not_early_and_hardly_late(ada, start, effects):
    run = await start(later(seconds=0.3), "a")

    ended = await end(ada, run)

    assert ended.state == "succeeded"
    steps = (await ada.call(runtime.GetTimeline(run_id=run.id))).steps
    assert steps[0].started_ms + 300 <= steps[1].started_ms <= steps[0].started_ms + 5_000


async def test_the_message_may_say_when(ada, start, effects):
    soon = datetime.now(UTC) + timedelta(seconds=0.2)
    run = await start(later(expression="item.due"), {"due": soon.isoformat()})
    past = await start(later(until="2001-01-01T00:00:00Z"), 1)

    assert (await end(ada, run)).state == (await end(ada, past)).state == "succeeded"
    assert datetime.now(UTC) >= soon


async def test_what_is_no_time_fails_the_step_and_says_so(ada, start, effects):
    run = await start(later(expression="item"), "tomorrow")

    error = (await end(ada, run)).error

    assert error.kind == "wait.no_time"
    assert "tomorrow" in error.message


async def test_many_timers_that_fell_due_while_no_process_ran_each_go_off_once(
    stage, ada, start, effects, admin
):
    """G7: no process is there when they are due; one comes and finds them all late."""
    graph = later(seconds=3600)
    graph = Graph(
        nodes=graph.nodes | {"s": Node("split")},
        edges=(*graph.edges, Edge("s.out", "n0.in")),
        inputs={"x": GraphInput("s.in")},
        outputs=graph.outputs,
    )
    runs = await asyncio.gather(*(start(graph, list(range(4))) for _ in range(MANY // 4)))

    async def all_wait():
        of_these = "select count(*) from runtime.waits where run_id = any($1) and closed_at is null"
        return await admin.fetchval(of_these, [run.id for run in runs]) == MANY

    await eventually(all_wait, within_s=10)
    await admin.execute("update runtime.runs set owner = null, wake_at = 'infinity' where ended_at is null")
    # Nobody's clock but the database's counts: as if it had passed over all of them at once.
    await admin.execute("update runtime.waits set due_at = due_at - interval '1 day' where closed_at is null")
    began = time.monotonic()

    for run in runs:
        assert (await end(ada, run)).state == "succeeded"

    assert time.monotonic() - began < 20
    assert len(effects.keys) == len(set(effects.keys)) == MANY
