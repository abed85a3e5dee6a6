"""What can never be written of a run, or read of it again, is its end; what was done is kept, and others go on."""

from __future__ import annotations

from uuid import uuid4

import msgspec
import pytest

from polis.proto import runtime
from polis.proto.graph import Compensation, Component, Edge, Graph, GraphInput, GraphOutput, Node, Port
from polis.runtime import component
from polis.runtime.component import Implementation, Wait
from polis.runtime.shell import progress, resting, watch
from polis.runtime.shell.progress import Progress
from polis.runtime.waits import written
from polis.testing import eventually

pytestmark = pytest.mark.usefixtures("told")
"""A trace that is printed holds everybody up for seconds."""
GO = Graph(
    nodes={"act": Node("test.effect"), "go": Node("signal", {"name": "go"})},
    edges=(Edge("act.out", "go.in"),),
    inputs={"x": GraphInput("act.in")},
    outputs={"y": GraphOutput("go.out")},
)


@pytest.fixture
def asks(played, monkeypatch):
    """A step that waits for whatever it is told, by a name that PostgreSQL may not take."""
    described = Component(
        "test.asks", "", inputs={"in": Port()}, outputs={"out": Port(), "late": Port()}, pure=False
    )
    asked = Implementation(
        described,
        waiting=lambda _, inputs: Wait("test.asks", inputs["in"], due_s=0.0, late=(("out", "late"),)),
    )
    played.components[described.key] = described
    monkeypatch.setitem(component._implementations, described.key, asked)


async def _at_rest(admin, run):
    state = "select state = 'waiting' and owner is null from runtime.runs where id = $1"
    await eventually(lambda: admin.fetchval(state, run.id), within_s=10)


async def _is_whole(ada, admin, run):
    """One end, transitions without a gap, no step that goes on, no wait that is open, and no second attempt."""
    watched = await ada.call(runtime.WatchRun(run_id=run.id, after=0))
    assert [t.seq for t in watched.transitions] == list(range(1, watched.seq + 1))
    assert (watched.transitions[-1].state, watched.transitions[-1].step) == ("failed", None)
    steps = (await ada.call(runtime.WatchRun(run_id=run.id))).steps
    assert {step.state for step in steps} <= {"succeeded", "skipped", "cancelled"}
    waits = "select count(*) from runtime.waits where run_id = $1 and closed_at is null"
    assert not await admin.fetchval(waits, run.id)


def _kept(admin, run, node="act"):
    kept = "select count(*) from runtime.journal where run_id = $1 and node = $2"
    return admin.fetchval(kept, run.id, node)


async def test_a_run_that_cannot_be_written_fails_at_once_with_what_was_done_and_those_beside_it_go_on(
    ada, played, effects, admin, asks, ended, told
):
    played.graphs["unwritable"] = Graph(
        nodes={"act": Node("test.effect"), "ask": Node("test.asks")},
        edges=(Edge("act.out", "ask.in"),),
        inputs={"x": GraphInput("act.in")},
        outputs={"y": GraphOutput("ask.out")},
    )
    effects.gate.clear()
    before, run, behind = [
        await ada.call(runtime.StartRun(graph="unwritable", input={"x": x})) for x in ("a", "\0", "b")
    ]

    effects.gate.set()
    over = await ended(run)

    assert (over.state, over.error.step, over.error.kind) == ("failed", "", "run.unwritable")
    assert [line["run_id"] for line in told if line["event"] == "run.unwritable"] == [str(run.id)]
    assert [(await ended(other)).state for other in (before, behind)] == ["succeeded"] * 2
    await _is_whole(ada, admin, run)
    assert await _kept(admin, run)
    assert await admin.fetchval("select epoch from runtime.runs where id = $1", run.id) == 1


async def test_a_run_whose_row_breaks_a_rule_of_its_table_fails_at_once(
    ada, played, effects, admin, ended, monkeypatch
):
    played.graphs["unwritable.rule"] = GO
    used = uuid4()
    monkeypatch.setattr(written, "new_id", lambda: used)
    first = await ada.call(runtime.StartRun(graph="unwritable.rule", input={"x": 1}))
    await _at_rest(admin, first)

    run = await ada.call(runtime.StartRun(graph="unwritable.rule", input={"x": 1}))
    over = await ended(run)

    assert (over.state, over.error.kind) == ("failed", "run.unwritable")
    assert await admin.fetchval("select epoch from runtime.runs where id = $1", run.id) == 1
    assert await _kept(admin, run)
    await ada.call(runtime.SignalRun(run_id=first.id, name="go"))
    assert (await ended(first)).state == "succeeded"


async def test_what_was_done_by_a_run_that_cannot_be_written_is_undone(
    ada, played, effects, admin, asks, ended
):
    played.graphs["unwritable.undone"] = Graph(
        nodes={"act": Node("test.effect", compensate=Compensation("test.effect")), "ask": Node("test.asks")},
        edges=(Edge("act.out", "ask.in"),),
        inputs={"x": GraphInput("act.in")},
    )

    run = await ada.call(runtime.StartRun(graph="unwritable.undone", input={"x": "\0"}))
    over = await ended(run)

    assert (over.state, over.error.kind) == ("failed", "run.unwritable")
    assert effects.keys == [f"{run.id}/act/-", f"{run.id}/act/@undo/-"]
    await _is_whole(ada, admin, run)


async def test_a_run_whose_outcome_cannot_be_written_ends_without_it(
    ada, played, effects, admin, ended, monkeypatch
):
    played.graphs["unwritable.outcome"] = GO
    whole = progress._outcome
    monkeypatch.setattr(progress, "_outcome", lambda each: msgspec.structs.replace(whole(each), item="\0"))

    run = await ada.call(runtime.StartRun(graph="unwritable.outcome", input={"x": 1}))
    over = await ended(run)

    assert (over.state, over.error.kind) == ("failed", "run.unwritable")
    assert effects.keys == [f"{run.id}/act/-"]
    await _is_whole(ada, admin, run)


async def test_a_run_that_cannot_be_laid_to_rest_fails_at_once(
    ada, played, effects, admin, ended, monkeypatch
):
    played.graphs["unwritable.rest"] = GO
    whole = Progress._rest

    def rest(self, execution):
        flush = whole(self, execution)
        return msgspec.structs.replace(flush, rest=msgspec.structs.replace(flush.rest, heard=2**40))

    monkeypatch.setattr(Progress, "_rest", rest)

    run = await ada.call(runtime.StartRun(graph="unwritable.rest", input={"x": 1}))
    over = await ended(run)

    assert (over.state, over.error.kind) == ("failed", "run.unwritable")
    await _is_whole(ada, admin, run)
    assert await _kept(admin, run)


@pytest.mark.parametrize(
    ("what", "after"), [("journal.body", 0), ("runs.steps", 0), ("runs.attempts", 0), ("runs.input", 1)]
)
async def test_a_run_of_which_what_is_kept_cannot_be_read_fails_when_it_is_taken_up_and_others_go_on(
    ada, played, effects, admin, ended, what, after, monkeypatch
):
    monkeypatch.setattr(watch, "_UNREAD_OWNERS", after)
    played.graphs["unreadable"] = GO
    before, run, behind = runs = [
        await ada.call(runtime.StartRun(graph="unreadable", input={"x": 1})) for _ in range(3)
    ]
    for each in runs:
        await _at_rest(admin, each)
    table, _, column = what.partition(".")
    key = "id" if table == "runs" else "run_id"
    await admin.execute(f"update runtime.{table} set {column} = '{{' where {key} = $1", run.id)

    for each in runs:
        await ada.call(runtime.SignalRun(run_id=each.id, name="go"))
    over = await ended(run)

    assert (over.state, over.error.step, over.error.kind) == ("failed", "", "run.unreadable")
    assert [(await ended(other)).state for other in (before, behind)] == ["succeeded"] * 2
    await _is_whole(ada, admin, run)
    assert await _kept(admin, run)


async def test_of_attempts_that_cannot_be_read_any_more_the_timeline_tells_how_many_there_were(
    ada, played, effects, admin, ended
):
    played.graphs["unreadable.attempts"] = GO
    run = await ada.call(runtime.StartRun(graph="unreadable.attempts", input={"x": 1}))
    await ada.call(runtime.SignalRun(run_id=run.id, name="go"))
    await ended(run)
    whole = await ada.call(runtime.GetTimeline(run_id=run.id))
    await admin.execute("update runtime.runs set attempts = '{' where id = $1", run.id)

    told = await ada.call(runtime.GetTimeline(run_id=run.id))

    counted = tuple(msgspec.structs.replace(step, attempts=()) for step in whole.attempts)
    assert {step.node for step in counted} == {"act", "go"}
    assert told == msgspec.structs.replace(whole, attempts=counted)


async def test_an_outcome_from_outside_that_cannot_be_read_ends_the_run_that_it_was_for_alone(
    ada, played, running, effects, admin, ended, monkeypatch
):
    monkeypatch.setattr(resting, "LINGER_S", 600.0)
    played.graphs["unreadable.outcome"] = GO
    run, other = [
        await ada.call(runtime.StartRun(graph="unreadable.outcome", input={"x": 1})) for _ in range(2)
    ]
    waits = "select count(*) from runtime.waits where run_id = any($1) and closed_at is null"

    async def wait():
        return await admin.fetchval(waits, [run.id, other.id]) == 2

    await eventually(wait, within_s=10)
    brought = """
        insert into runtime.journal (org_id, run_id, node, item, body)
        select org_id, run_id, node, item, '{' from runtime.waits where run_id = $1
    """
    await admin.execute(brought, run.id)

    over = await ended(run)  # found with the next beat

    assert (over.state, over.error.kind) == ("failed", "internal")
    await ada.call(runtime.SignalRun(run_id=other.id, name="go"))
    assert (await ended(other)).state == "succeeded"
