"""What a run waits for outside of every process: one outcome, whoever brings it, wherever the run is by then."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from polis.db import Database
from polis.proto import runtime
from polis.proto.graph import Component, Edge, Graph, GraphInput, GraphOutput, Node, Port
from polis.runtime import component, waits
from polis.runtime.component import Implementation, StepFailed, Wait
from polis.runtime.engine.activation import Failure, Recorded
from polis.runtime.shell import watch
from polis.runtime.waits import kinds
from polis.testing import eventually

KIND = "test.kind"


class Silent:
    """Peers to whom nothing gets through."""

    def tell(self, runs):
        pass


class Outside:
    """Who brings outcomes, with no more than a connection to the database."""

    def __init__(self, database, admin, org_id):
        self.database, self.admin, self.org_id = database, admin, org_id

    async def open(self, name, count=1):
        """The open waits of a name, once there are that many."""

        async def look():
            found = await waits.by_name(self.database.tenant(self.org_id), KIND, name)
            return found if len(found) == count else None

        return await eventually(look, within_s=5)

    async def bring(self, wait, outcome):
        async with self.database.transaction([self.org_id]) as tx:
            return await waits.complete(tx, wait, outcome, Silent())

    async def answer(self, wait, value):
        return await self.bring(wait, Recorded(emitted=(("out", value),)))

    async def at_rest(self, run):
        """Wait until no process has the run."""

        async def look():
            row = await self.admin.fetchrow("select state, owner from runtime.runs where id = $1", run.id)
            return row["state"] == "waiting" and row["owner"] is None

        await eventually(look, within_s=5)


def ask(step, inputs):
    asked = inputs["in"]
    if asked == "nothing":
        raise StepFailed("ask.nothing", "there is nothing to ask")
    late = (("late", asked),) if step.config.get("late") else None
    return Wait(
        step.config.get("kind", KIND),
        str(asked),
        due_s=step.config.get("due_s"),
        late=late,
        data={"asked": asked},
    )


@pytest.fixture(scope="module", autouse=True)
def ask_component(played):
    described = Component(
        "test.ask", "", inputs={"in": Port()}, outputs={"out": Port(), "late": Port()}, pure=False,
        config={"type": "object"},
    )  # fmt: skip
    played.components["test.ask"] = described
    component._implementations["test.ask"] = Implementation(described, waiting=ask)
    yield
    del component._implementations["test.ask"]


@pytest.fixture
async def outside(stage, ada):
    database = await Database.open(stage.database.url("app_runtime"), service="runtime", size=2)
    admin = await asyncpg.connect(stage.database.admin_url)
    yield Outside(database, admin, ada.org_id)
    await database.close()
    await admin.close()


def line(*nodes, **fields):
    """n0 -> n1 -> ..., from the input `x` to the output `y`."""
    return Graph(
        nodes={f"n{i}": node if isinstance(node, Node) else Node(node) for i, node in enumerate(nodes)},
        edges=tuple(Edge(f"n{i}.out", f"n{i + 1}.in") for i in range(len(nodes) - 1)),
        inputs={"x": GraphInput("n0.in")},
        outputs={"y": GraphOutput(f"n{len(nodes) - 1}.out", many=True)},
        **fields,
    )


async def test_a_run_that_waits_leaves_the_process_and_goes_on_with_the_one_outcome(
    ada, outside, start, ended, effects
):
    run = await start(line("test.effect", "test.ask", "test.effect"), "a")
    await outside.at_rest(run)
    (wait,) = await outside.open("a")
    timeline = await ada.call(runtime.GetTimeline(run_id=run.id))
    assert [step.state for step in timeline.steps] == ["succeeded", "waiting", "pending"]

    brought = await asyncio.gather(*(outside.answer(wait, n) for n in range(5)))

    assert sum(brought) == 1
    assert (await ended(run)).state == "succeeded"
    output = await ada.call(runtime.GetOutput(run_id=run.id))
    assert output.values == {"y": [brought.index(True)]}
    assert effects.keys == [f"{run.id}/n0/-", f"{run.id}/n2/0.0"]
    watched = await ada.call(runtime.WatchRun(run_id=run.id, after=0))
    assert [t.seq for t in watched.transitions] == list(range(1, watched.seq + 1))
    states = [t.state for t in watched.transitions if t.step is None]
    assert states == ["running", "waiting", "running", "succeeded"]


async def test_outcomes_come_in_any_order_and_leave_in_that_of_their_items(ada, outside, start, ended):
    run = await start(line("split", "test.ask", "passthrough"), ["many"] * 40)
    opened = await outside.open("many", 40)

    for number, wait in reversed(list(enumerate(sorted(opened, key=lambda w: w.item)))):
        assert await outside.answer(wait, [wait.item, number])

    assert (await ended(run)).state == "succeeded"
    values = (await ada.call(runtime.GetOutput(run_id=run.id))).values["y"]
    assert [item for item, _ in values] == [str(n) for n in range(40)]


async def test_an_outcome_reaches_a_run_that_is_at_work(ada, outside, start, ended, effects):
    graph = Graph(
        nodes={"ask": Node("test.ask"), "busy": Node("test.effect"), "then": Node("passthrough")},
        edges=(Edge("ask.out", "then.in"),),
        inputs={"x": GraphInput("ask.in"), "z": GraphInput("busy.in", default=1)},
        outputs={"y": GraphOutput("then.out")},
    )
    effects.gate.clear()
    run = await start(graph, "busy")
    (wait,) = await outside.open("busy")

    assert await outside.answer(wait, 1)

    async def through():
        steps = (await ada.call(runtime.GetTimeline(run_id=run.id))).steps
        return next(step for step in steps if step.node == "then").state == "succeeded"

    await eventually(through, within_s=5)
    effects.gate.set()
    assert (await ended(run)).state == "succeeded"


async def test_who_brings_a_failure_fails_the_run_with_the_step_named(outside, start, ended):
    run = await start(line("test.ask"), "fails")
    (wait,) = await outside.open("fails")

    assert await outside.bring(wait, Recorded(failure=Failure("no", "they said no")))

    assert (await ended(run)).error == runtime.RunError("n0", "no", "they said no")


async def test_an_outcome_at_a_port_that_there_is_none_of_is_a_failure_with_an_error_port(
    ada, outside, start, ended
):
    graph = Graph(
        nodes={"ask": Node("test.ask")},
        inputs={"x": GraphInput("ask.in")},
        outputs={"y": GraphOutput("ask.error")},
    )
    run = await start(graph, "wrong")
    (wait,) = await outside.open("wrong")

    await outside.bring(wait, Recorded(emitted=(("nowhere", 1),)))

    assert (await ended(run)).state == "succeeded"
    assert (await ada.call(runtime.GetOutput(run_id=run.id))).values["y"]["kind"] == "port.unknown"


async def test_nothing_is_brought_to_a_run_that_was_cancelled(ada, outside, start):
    run = await start(line("test.ask"), "cancelled")
    (wait,) = await outside.open("cancelled")

    await ada.call(runtime.CancelRun(run_id=run.id))

    assert not await outside.answer(wait, 1)
    assert await waits.get(outside.database.tenant(ada.org_id), wait.id) is None


async def test_what_a_graph_in_the_graph_waited_for_is_closed_when_that_has_failed(
    ada, outside, start, ended, effects
):
    inner = {
        "nodes": {
            "ask": {"component": "test.ask"},
            "later": {"component": "wait", "config": {"seconds": 0.2}},
            "fail": {"component": "fail", "config": {"kind": "no.luck", "message": "not today"}},
        },
        "edges": [{"source": "later.out", "target": "fail.in"}],
        "inputs": {"item": {"target": "ask.in"}, "also": {"target": "later.in", "default": 1}},
        "outputs": {"result": {"source": "ask.out"}},
    }
    graph = Graph(
        nodes={"each": Node("each.graph", {"graph": inner}), "busy": Node("test.effect")},
        inputs={"x": GraphInput("each.in"), "z": GraphInput("busy.in", default=1)},
        outputs={"y": GraphOutput("each.error"), "b": GraphOutput("busy.out")},
    )
    effects.gate.clear()
    run = await start(graph, ["inner"])

    async def closed():
        query = "select closed_at is not null from runtime.waits where run_id = $1 and kind = 'test.kind'"
        return await outside.admin.fetchval(query, run.id)

    await eventually(closed, within_s=5)
    assert (await ada.call(runtime.GetRun(run_id=run.id))).state == "running"
    effects.gate.set()
    assert (await ended(run)).state == "succeeded"
    assert (await ada.call(runtime.GetOutput(run_id=run.id))).values["y"]["kind"] == "no.luck"


async def test_what_nobody_brings_in_time_is_what_the_wait_holds_for_that(ada, start, ended):
    graph = Graph(
        nodes={"ask": Node("test.ask", {"due_s": 0.05, "late": True})},
        inputs={"x": GraphInput("ask.in")},
        outputs={"y": GraphOutput("ask.late")},
    )
    late = await start(graph, "nobody")
    failed = await start(line(Node("test.ask", {"due_s": 0.05})), "nobody")

    assert (await ended(late)).state == "succeeded"
    assert (await ada.call(runtime.GetOutput(run_id=late.id))).values == {"y": "nobody"}
    error = (await ended(failed)).error
    assert error is not None
    assert error.kind == "wait.timeout"


async def test_a_wait_that_cannot_be_completed_holds_no_other_up(ada, outside, start, ended):
    async def broken(tx, waits, why):
        if why == "due":
            raise RuntimeError("a defect")

    kinds.register("test.broken", kinds.Kind(closed=broken))
    stuck = await start(line(Node("test.ask", {"due_s": 0.01, "kind": "test.broken"})), "stuck")
    fine = await start(line(Node("test.ask", {"due_s": 0.05, "late": True})), "fine")

    assert (await ended(fine)).state == "succeeded"
    put_off = "select due_at > now() + interval '9 seconds' from runtime.waits where run_id = $1"
    await eventually(lambda: outside.admin.fetchval(put_off, stuck.id), within_s=5)
    assert (await ada.call(runtime.CancelRun(run_id=stuck.id))).state == "cancelled"


async def test_runs_that_cannot_be_resumed_hold_up_none_that_are_taken_over_with_them(
    ada, outside, start, ended, monkeypatch
):
    """As many as are resumed at a time are before one that is as it should be, in one claim."""
    monkeypatch.setattr(watch, "_UNREAD_OWNERS", 0)
    broken = [await start(line("test.ask"), f"broken {n}") for n in range(3)]
    fine = await start(line("test.ask"), "fine")
    for run in (*broken, fine):
        await outside.at_rest(run)
    ids = [run.id for run in broken]
    await outside.admin.execute("update runtime.runs set input = 'no JSON' where id = any($1)", ids)
    (wait,) = await outside.open("fine")

    async with outside.database.transaction([outside.org_id]) as tx:
        assert await waits.complete(tx, wait, Recorded(emitted=(("out", 1),)), Silent())
        await tx.execute(
            "update runtime.runs set wake_at = now() - interval '1 second' where org_id = $1 and id = any($2)",
            outside.org_id,
            ids,
        )

    assert (await ended(fine)).state == "succeeded"
    assert [(await ended(run)).error.kind for run in broken] == ["run.unreadable"] * 3


async def test_a_run_that_rests_still_ends_at_its_time(outside, start, ended):
    run = await start(line("test.ask", timeout_s=2.0), "timeout")
    await outside.at_rest(run)

    error = (await ended(run)).error

    assert error is not None
    assert (error.step, error.kind) == ("n0", "run.timeout")
    (closed,) = await outside.admin.fetch("select closed_at from runtime.waits where run_id = $1", run.id)
    assert closed["closed_at"] is not None
