"""What a run's timeline tells of its attempts, and of its messages what the graph and their schemas let be seen."""

from __future__ import annotations

import asyncpg
import msgspec
import pytest

from polis.proto import runtime
from polis.proto.graph import Component, Edge, Graph, GraphInput, GraphOutput, Node, Port, Retry
from polis.runtime import component
from polis.runtime.component import Implementation, StepFailed
from polis.testing import eventually

PERSONAL = {"type": "object", "properties": {"name": {"x-data-class": "personal"}}}
MARK = {"redacted": "personal"}


class Moody:
    """A component of the tests that fails as often as it is told to, then gives its input on."""

    def __init__(self):
        self.misses = 0

    async def effect(self, step, inputs):
        if self.misses:
            self.misses -= 1
            raise StepFailed("test.moody", "not now", retryable=True)
        step.emit("out", inputs["in"])


@pytest.fixture(scope="module")
def moody(played, components):
    made = Moody()
    described = Component(
        "test.moody", "test.moody", inputs={"in": Port(schema=PERSONAL)}, outputs={"out": Port()}, pure=False
    )
    played.components["test.moody"] = described
    component._implementations["test.moody"] = Implementation(described, task=made.effect)
    yield made
    del component._implementations["test.moody"]


async def timeline(person, run_id, within_s=5.0):
    """Of the run once it has ended; attempts by step."""

    async def look():
        found = await person.call(runtime.GetTimeline(run_id=run_id))
        return found if found.run.state in runtime.TERMINAL else None

    found = await eventually(look, within_s=within_s)
    return found, {step.node: step for step in found.attempts}


async def test_every_attempt_is_told_with_when_it_was_and_what_it_failed_with(ada, played, moody, graph_of):
    graph = graph_of("passthrough", "test.moody", "collect")
    graph.nodes["n1"] = Node("test.moody", retry=Retry(attempts=3, delay_s=0.02))
    played.graphs["moody"] = graph
    moody.misses = 2

    run = await ada.call(runtime.StartRun(graph="moody", input={"x": {"name": "Ada"}}))
    found, steps = await timeline(ada, run.id)

    assert found.run.state == "succeeded"
    assert steps["n1"].total == 3
    first, second, third = steps["n1"].attempts
    assert [(a.item, a.number, a.error, a.emitted) for a in (first, second, third)] == [
        ("0", 1, "test.moody", 0), ("0", 2, "test.moody", 0), ("0", 3, None, 0),
    ]  # fmt: skip
    assert first.started_ms <= first.ended_ms <= second.started_ms <= second.ended_ms <= third.started_ms
    assert second.started_ms - first.ended_ms <= second.waited_ms + 1
    assert third.ended_ms <= next(s.ended_ms for s in found.steps if s.node == "n2")
    assert (first.inputs, first.outputs, first.cost) == (None, None, None)


async def test_of_a_step_with_many_items_the_last_attempts_are_kept_and_all_are_counted(
    ada, played, effects, graph_of
):
    played.graphs["lots"] = graph_of("split", "test.effect", "collect")

    run = await ada.call(runtime.StartRun(graph="lots", input={"x": list(range(150))}))
    _, steps = await timeline(ada, run.id)

    assert (steps["n1"].total, len(steps["n1"].attempts)) == (150, 100)
    assert {int(a.item) for a in steps["n1"].attempts} == set(range(50, 150))
    assert set(steps) == {"n0", "n1", "n2"}


@pytest.mark.parametrize(
    ("record", "shown"), [("none", set()), ("effects", {"n1"}), ("all", {"n0", "n1", "n2"})]
)
async def test_messages_are_kept_as_the_graph_says_and_their_schemas_let(
    ada, played, moody, graph_of, record, shown
):
    """What is made of a message that holds something personal is not shown either: `n2` gives on what `n1` gave."""
    graph = graph_of("passthrough", "test.moody", "passthrough", record=record)
    graph.inputs["x"] = GraphInput("n0.in", schema={"properties": {"note": {"x-data-class": "secret"}}})
    played.graphs[f"record-{record}"] = graph
    given = {"name": "Ada", "note": "x", "password": "y", "n": 1, "long": "z" * 5000}

    run = await ada.call(runtime.StartRun(graph=f"record-{record}", input={"x": given}))
    found, steps = await timeline(ada, run.id)

    assert found.run.state == "succeeded"
    told = msgspec.json.encode(found.attempts).decode()
    assert '"Ada"' not in told
    assert '"y"' not in told
    assert {name for name, step in steps.items() if step.attempts[0].inputs is not None} == shown
    if record == "all":
        assert set(steps["n0"].attempts[0].inputs["in"]) == {"left_out_bytes"}
        assert steps["n0"].attempts[0].outputs == (runtime.PortValue("out", {"redacted": "secret"}),)
        assert steps["n2"].attempts[0].outputs[0].value in (MARK, {"redacted": "secret"})
    if record == "effects":
        assert steps["n1"].attempts[0].inputs == {"in": {"redacted": "secret"}}


async def test_messages_without_a_class_are_shown_and_large_ones_are_measured(ada, played, effects, graph_of):
    played.graphs["plain"] = graph_of("test.effect", record="effects")
    small = await ada.call(runtime.StartRun(graph="plain", input={"x": {"n": 1, "token": "t"}}))
    large = await ada.call(runtime.StartRun(graph="plain", input={"x": "z" * 5000}))

    (_, few), (_, much) = await timeline(ada, small.id), await timeline(ada, large.id)

    seen = {"n": 1, "token": {"redacted": "secret"}}
    assert few["n0"].attempts[0].inputs == {"in": seen}
    assert few["n0"].attempts[0].outputs == (runtime.PortValue("out", seen),)
    assert much["n0"].attempts[0].inputs == {"in": {"left_out_bytes": 5002}}


async def test_what_was_done_before_a_run_rested_is_told_with_what_came_after(ada, played, effects):
    played.graphs["rests"] = Graph(
        nodes={
            "a": Node("test.effect"),
            "wait": Node("signal", config={"name": "go"}),
            "b": Node("test.effect"),
        },
        edges=(Edge("a.out", "wait.in"), Edge("wait.out", "b.in")),
        inputs={"x": GraphInput("a.in")},
        outputs={"y": GraphOutput("b.out")},
    )

    run = await ada.call(runtime.StartRun(graph="rests", input={"x": 1}))
    resting = await eventually(lambda: _resting(ada, run.id))
    await ada.call(runtime.SignalRun(run_id=run.id, name="go"))
    found, steps = await timeline(ada, run.id)

    assert {step.node: step.total for step in resting.attempts} == {"a": 1, "wait": 1}
    assert found.run.state == "succeeded"
    assert {name: (step.total, len(step.attempts)) for name, step in steps.items()} == {
        "a": (1, 1), "wait": (1, 1), "b": (1, 1),
    }  # fmt: skip
    waited = steps["wait"].attempts[0]
    assert waited.ended_ms - waited.started_ms >= 200  # it lingered before it rested
    assert steps["b"].attempts[0].started_ms >= waited.ended_ms


async def _resting(person, run_id):
    found = await person.call(runtime.GetTimeline(run_id=run_id))
    return found if found.run.state == "waiting" else None


async def test_attempts_of_a_process_that_died_are_told_and_the_one_at_work_was_lost(
    ada, played, effects, graph_of, stage
):
    played.graphs["taken"] = graph_of("log", "test.effect")
    effects.gate.clear()
    run = await ada.call(runtime.StartRun(graph="taken", input={"x": 1}))

    async def under_way():
        found = await ada.call(runtime.GetTimeline(run_id=run.id))
        told = {step.node: [a.ended_ms is not None for a in step.attempts] for step in found.attempts}
        return told == {"n0": [True], "n1": [False]}

    await eventually(under_way)
    admin = await asyncpg.connect(stage.database.admin_url)
    # As if the process that had it were gone: this one finds its own record refused, and takes the run over.
    gone = "update runtime.runs set owner = gen_random_uuid(), epoch = epoch + 1 where id = $1"
    await admin.execute(gone, run.id)
    await admin.close()
    await eventually(lambda: len(effects.begun) == 2, within_s=10)
    effects.gate.set()
    _, steps = await timeline(ada, run.id, within_s=10)

    lost, again = steps["n1"].attempts
    assert [(a.error, a.number) for a in (lost, again)] == [("step.lost", 1), (None, 1)]
    assert lost.started_ms <= lost.ended_ms <= again.started_ms <= again.ended_ms
    assert {name: step.total for name, step in steps.items()} == {"n0": 1, "n1": 2}
