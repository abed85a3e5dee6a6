"""A paused run begins no step; what was at work counts; it goes on where it was, in its order, also elsewhere."""

from __future__ import annotations

import json

import pytest

from polis.proto import runtime
from polis.proto.graph import Edge, Graph, GraphInput, GraphOutput, Node
from polis.testing import eventually

EFFECTS = 6


@pytest.fixture
def state(ada):
    async def state(run, *wanted):
        async def look():
            found = await ada.call(runtime.GetRun(run_id=run.id))
            return found if found.state in wanted else None

        return await eventually(look, within_s=6)

    return state


def one_by_one(**fields):
    """A list whose items go through an effect one after another."""
    return Graph(
        nodes={"split": Node("split"), "act": Node("test.effect", concurrency=1)},
        edges=(Edge("split.out", "act.in"),),
        inputs={"x": GraphInput("split.in")},
        outputs={"y": GraphOutput("act.out", many=True)},
        **fields,
    )


async def at_rest(admin, run):
    async def look():
        row = await admin.fetchrow("select owner, state from runtime.runs where id = $1", run.id)
        return row["owner"] is None and row["state"] == "paused"

    await eventually(look, within_s=6)


async def test_what_is_at_work_ends_and_nothing_else_begins(ada, start, state, effects, admin):
    effects.gate.clear()
    run = await start(one_by_one(timeout_s=2.0), list(range(EFFECTS)))
    await eventually(lambda: len(effects.begun) == 1, within_s=5)

    assert (await ada.call(runtime.PauseRun(run_id=run.id))).state == "paused"
    assert (await ada.call(runtime.PauseRun(run_id=run.id))).state == "paused"
    effects.gate.set()
    await at_rest(admin, run)

    assert effects.keys == [f"{run.id}/act/0"]
    assert await admin.fetchval("select count(*) from runtime.journal where run_id = $1", run.id) == 1
    # It was paused for an hour: that takes nothing from its time.
    await admin.execute(
        """
        update runtime.runs set paused_at = paused_at - interval '1 hour', created_at = created_at - interval '1 hour'
        where id = $1
        """,
        run.id,
    )
    await ada.call(runtime.ResumeRun(run_id=run.id))
    await state(run, "succeeded")
    assert effects.keys == [f"{run.id}/act/{n}" for n in range(EFFECTS)]
    watched = await ada.call(runtime.WatchRun(run_id=run.id, after=0))
    assert [t.seq for t in watched.transitions] == list(range(1, watched.seq + 1))
    states = [t.state for t in watched.transitions if t.step is None]
    assert [s for n, s in enumerate(states) if states[n - 1 : n] != [s]] == [
        *("running", "paused", "waiting", "running", "succeeded")
    ]
    events = await admin.fetch(
        "select fact, payload from runtime.outbox where entity = $1 order by n", str(run.id)
    )
    told = ["run_started", "run_paused", "run_resumed", "run_succeeded"]
    assert [row["fact"] for row in events] == told
    whose = {"graph": run.graph, "actor_id": str(run.actor_id)}
    for row in events:
        assert json.loads(row["payload"]).items() >= whose.items()


async def test_a_run_that_goes_on_before_it_rests_is_not_begun_anew(ada, start, state, effects, admin):
    effects.gate.clear()
    run = await start(one_by_one(), list(range(EFFECTS)))
    await eventually(lambda: len(effects.begun) == 1, within_s=5)
    await ada.call(runtime.PauseRun(run_id=run.id))

    await ada.call(runtime.ResumeRun(run_id=run.id))
    effects.gate.set()

    await state(run, "succeeded")
    assert effects.begun == effects.keys
    assert await admin.fetchval("select epoch from runtime.runs where id = $1", run.id) == 1


async def test_what_comes_for_a_paused_run_is_kept_and_taken_in_order_when_it_goes_on(
    ada, start, state, effects, admin
):
    graph = Graph(
        nodes={"split": Node("split"), "wait": Node("signal", {"name": "go"}), "act": Node("test.effect")},
        edges=(Edge("split.out", "wait.in"), Edge("wait.out", "act.in")),
        inputs={"x": GraphInput("split.in")},
        outputs={"y": GraphOutput("act.out", many=True)},
    )
    run = await start(graph, [0, 1, 2])
    await state(run, "waiting")
    await ada.call(runtime.PauseRun(run_id=run.id))
    for n in range(3):
        await ada.call(runtime.SignalRun(run_id=run.id, name="go", payload=n))
    await at_rest(admin, run)
    assert effects.begun == []

    await ada.call(runtime.ResumeRun(run_id=run.id))

    await state(run, "succeeded")
    assert (await ada.call(runtime.GetOutput(run_id=run.id))).values == {"y": [0, 1, 2]}


async def test_whoever_takes_a_paused_run_over_begins_nothing_either(ada, start, state, effects, admin):
    effects.gate.clear()
    run = await start(one_by_one(), list(range(EFFECTS)))
    await eventually(lambda: len(effects.begun) == 1, within_s=5)
    await ada.call(runtime.PauseRun(run_id=run.id))
    # Its process is gone, as far as anybody can see.
    await admin.execute("update runtime.runs set owner = gen_random_uuid() where id = $1", run.id)

    await at_rest(admin, run)
    effects.gate.set()
    assert len(effects.begun) == 1
    await ada.call(runtime.ResumeRun(run_id=run.id))

    await state(run, "succeeded")
    assert (await ada.call(runtime.GetOutput(run_id=run.id))).values == {"y": list(range(EFFECTS))}


async def test_a_paused_run_can_be_cancelled_and_an_ended_one_not_paused(ada, start, state, refused, effects):
    effects.gate.clear()
    run = await start(one_by_one(), [1])
    await ada.call(runtime.PauseRun(run_id=run.id))

    assert (await ada.call(runtime.CancelRun(run_id=run.id))).state == "cancelled"

    for request in (runtime.PauseRun(run_id=run.id), runtime.ResumeRun(run_id=run.id)):
        assert isinstance(await refused(ada.call(request)), runtime.RunEnded)


async def test_nothing_begins_once_a_pause_is_answered_although_nobody_was_told_of_it_yet(
    ada, start, state, effects, admin, monkeypatch
):
    effects.gate.clear()
    run = await start(one_by_one(), list(range(EFFECTS)))
    await eventually(lambda: len(effects.begun) == 1, within_s=5)
    monkeypatch.setattr("polis.runtime.shell.peers.Peers.hear", lambda *_: None)

    await ada.call(runtime.PauseRun(run_id=run.id))
    effects.gate.set()
    await at_rest(admin, run)

    assert effects.begun == [f"{run.id}/act/0"]
    monkeypatch.undo()
    await ada.call(runtime.ResumeRun(run_id=run.id))
    await state(run, "succeeded")
