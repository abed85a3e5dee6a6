"""A defect of the engine itself ends the run that it shows in, at once and with what that did, and no other run."""

from __future__ import annotations

import pytest

from polis.proto import runtime
from polis.proto.graph import Compensation, Component, Edge, Graph, GraphInput, GraphOutput, Node, Port, Retry
from polis.runtime import component
from polis.runtime.component import Implementation
from polis.runtime.engine.history import History
from polis.runtime.engine.machine import Machine
from polis.runtime.engine.undoing import Undoing
from polis.runtime.shell import resting
from polis.testing import eventually

SAID = "what nobody outside may read"
GRAPH = Graph(
    nodes={
        "all": Node("split"),
        "act": Node("test.effect", retry=Retry(attempts=3, delay_s=0.05)),
        "say": Node("log"),
        "go": Node("signal", {"name": "go"}),
        "list": Node("collect"),
    },
    edges=(
        Edge("all.out", "act.in"), Edge("act.out", "say.in"), Edge("say.out", "go.in"), Edge("go.out", "list.in"),
    ),
    inputs={"x": GraphInput("all.in")},
    outputs={"y": GraphOutput("list.out")},
)  # fmt: skip


@pytest.fixture
def defect(monkeypatch):
    """Have a method of the engine raise, for the runs that are named from then on, or that are chosen."""

    def defect(owner, method, chosen=lambda _: False):
        whole, runs = getattr(owner, method), set()

        def broken(self, *args):
            run = self.run if isinstance(self, Machine) else self._machine.run
            if run in runs or chosen(run):
                raise ZeroDivisionError(SAID)
            return whole.fget(self) if isinstance(whole, property) else whole(self, *args)

        monkeypatch.setattr(owner, method, property(broken) if isinstance(whole, property) else broken)
        return runs

    return defect


async def signalled(person, *runs, times=2):
    for run in runs:
        for _ in range(times):
            await person.call(runtime.SignalRun(run_id=run.id, name="go"))


@pytest.mark.parametrize(
    ("owner", "method"),
    [
        (Machine, "turn"),
        (Machine, "finished"),
        (Machine, "recorded"),
        (Machine, "completed"),
        (Machine, "changes"),
        (Machine, "rests"),
        (Machine, "succeed"),
        (History, "written"),
    ],
)
async def test_a_run_whose_engine_has_a_defect_fails_at_once_and_those_beside_it_go_on(
    ada, played, effects, admin, told, defect, ended, monkeypatch, owner, method
):
    played.graphs["defect"] = GRAPH
    effects.gate.clear()
    request = runtime.StartRun(graph="defect", input={"x": [1, 2]})
    before, run, behind = [await ada.call(request) for _ in range(3)]
    if method == "completed":  # of a run that rests, it is not asked
        monkeypatch.setattr(resting, "LINGER_S", 600.0)
    acted = f"{run.id}/act/"
    defect(
        owner,
        method,
        lambda name: name == str(run.id) and any(key.startswith(acted) for key in effects.keys),
    )

    effects.gate.set()
    await signalled(ada, before, behind)
    await signalled(ada, run, times={"completed": 1, "succeed": 2}.get(method, 0))
    over = await ended(run)

    assert (over.state, over.error.step, over.error.kind) == ("failed", "", "internal")
    assert SAID not in over.error.message
    (line,) = [line for line in told if line["event"] == "run.broken"]
    assert (line["run_id"], str(line["exc_info"])) == (str(run.id), SAID)
    assert [(await ended(other)).state for other in (before, behind)] == ["succeeded"] * 2
    await _is_whole(ada, admin, run)
    # Whatever was done is in the journal: it may be taken over by another run.
    kept = await admin.fetchval(
        "select count(*) from runtime.journal where run_id = $1 and node = 'act'", run.id
    )
    assert kept or method == "finished"


async def _is_whole(ada, admin, run):
    """It has one end, transitions without a gap, no step that goes on, no wait that is open and no owner."""
    watched = await ada.call(runtime.WatchRun(run_id=run.id, after=0))
    assert [t.seq for t in watched.transitions] == list(range(1, watched.seq + 1))
    assert (watched.transitions[-1].state, watched.transitions[-1].step) == ("failed", None)
    steps = (await ada.call(runtime.WatchRun(run_id=run.id))).steps
    assert {step.state for step in steps} <= {"succeeded", "skipped", "cancelled"}
    assert await admin.fetchval("select owner from runtime.runs where id = $1", run.id) is None
    assert not await admin.fetchval(
        "select count(*) from runtime.waits where run_id = $1 and closed_at is null", run.id
    )
    facts = await admin.fetch(
        "select fact from runtime.outbox where entity = $1 and fact <> 'run_slow' order by n", str(run.id)
    )
    assert [row["fact"] for row in facts] == ["run_started", "run_failed"]


async def test_what_was_done_in_the_very_turn_in_which_a_defect_shows_is_kept(
    ada, played, running, admin, defect, ended, monkeypatch
):
    """An effect that is a function is done in a turn, and a pure step that waits for nobody right behind it."""

    async def look(step, inputs):
        step.emit("out", inputs["in"])

    described = Component("test.look", "test.look", inputs={"in": Port()}, outputs={"out": Port()})
    played.components[described.key] = described
    looks = Implementation(described, task=look)
    monkeypatch.setitem(component._implementations, described.key, looks)
    played.graphs["defect.turn"] = Graph(
        nodes={"say": Node("log", {"message": "said"}), "look": Node("test.look")},
        inputs={"x": GraphInput("say.in"), "y": GraphInput("look.in")},
    )
    defect(Machine, "finished", lambda _: True)

    run = await ada.call(runtime.StartRun(graph="defect.turn", input={"x": 1, "y": 2}))

    assert (await ended(run)).error.kind == "internal"
    kept = "select array_agg(node order by node) from runtime.journal where run_id = $1"
    assert await admin.fetchval(kept, run.id) == ["@log", "say"]


async def test_what_a_run_with_a_defect_has_done_is_undone(
    ada, played, effects, admin, defect, ended, monkeypatch
):
    monkeypatch.setattr(resting, "LINGER_S", 600.0)
    act = Node("test.effect", compensate=Compensation("test.effect"))
    played.graphs["defect.undone"] = Graph(
        nodes={"act": act, "go": Node("signal", {"name": "go"})},
        edges=(Edge("act.out", "go.in"),),
        inputs={"x": GraphInput("act.in")},
    )
    run = await ada.call(runtime.StartRun(graph="defect.undone", input={"x": 1}))
    defect(Machine, "completed").add(str(run.id))

    await signalled(ada, run, times=1)
    over = await ended(run)

    assert (over.state, over.error.kind) == ("failed", "internal")
    assert effects.keys == [f"{run.id}/act/-", f"{run.id}/act/@undo/-"]
    assert not await admin.fetchval(
        "select count(*) from runtime.waits where run_id = $1 and closed_at is null", run.id
    )


async def test_a_defect_in_undoing_ends_the_run_too(ada, played, effects, admin, defect, ended):
    act = Node("test.effect", compensate=Compensation("test.effect"))
    played.graphs["defect.undoing"] = Graph(
        nodes={"act": act, "go": Node("signal", {"name": "go"})},
        edges=(Edge("act.out", "go.in"),),
        inputs={"x": GraphInput("act.in")},
    )
    run = await ada.call(runtime.StartRun(graph="defect.undoing", input={"x": 1}))
    acted = "select count(*) from runtime.journal where run_id = $1 and node = 'act'"
    await eventually(lambda: admin.fetchval(acted, run.id))
    defect(Undoing, "turn").add(str(run.id))

    await ada.call(runtime.CancelRun(run_id=run.id))
    over = await ended(run)

    assert (over.state, over.error.kind) == ("cancelled", "undo.failed")
    assert "something went wrong inside" in over.error.message
    assert SAID not in over.error.message


async def test_a_run_that_is_taken_up_does_not_stand_for_a_defect_in_its_beginning(
    ada, played, effects, defect, ended
):
    played.graphs["defect.queued"] = Graph(
        nodes={"act": Node("test.effect")},
        inputs={"x": GraphInput("act.in")},
        outputs={"y": GraphOutput("act.out")},
    )
    first = await ada.call(runtime.StartRun(graph="defect.queued", input={"x": 1}))
    await ended(first)
    defect(Machine, "start", lambda run: run != str(first.id))

    again = await ada.call(runtime.RerunRun(run_id=first.id, step="act"))

    assert (again.state, (await ended(again)).error.kind) == ("queued", "internal")
