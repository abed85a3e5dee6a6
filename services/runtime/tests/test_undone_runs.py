"""Runs that are undone, and what a model had a word in, on real servers."""

from __future__ import annotations

import pytest

from polis.proto import runtime
from polis.proto.graph import Compensation, Component, Edge, Graph, GraphInput, GraphOutput, Node, Port
from polis.runtime import component
from polis.runtime.component import Implementation
from polis.testing import eventually


@pytest.fixture
def undoes(played):
    """A graph that does something for each item, and then fails or waits."""

    def undoes(key, last):
        played.graphs[key] = Graph(
            nodes={
                "split": Node("split"),
                "act": Node("test.effect", compensate=Compensation("test.effect"), concurrency=1),
                "list": Node("collect"),
                "last": last,
            },
            edges=(Edge("split.out", "act.in"), Edge("act.out", "list.in"), Edge("list.out", "last.in")),
            inputs={"x": GraphInput("split.in")},
        )
        return runtime.StartRun(graph=key, input={"x": [1, 2]})

    return undoes


async def ended(person, run):
    async def look():
        found = await person.call(runtime.GetRun(run_id=run.id))
        return found if found.state in runtime.TERMINAL else None

    return await eventually(look, within_s=10)


def undone(run):
    forth = [f"{run.id}/act/0", f"{run.id}/act/1"]
    return [*forth, f"{run.id}/act/@undo/1", f"{run.id}/act/@undo/0"]


async def test_a_run_that_fails_undoes_what_it_did_and_its_timeline_tells(ada, effects, undoes):
    run = await ada.call(undoes("fails", Node("fail", config={"kind": "test.no", "message": "no"})))

    over = await ended(ada, run)

    assert (over.state, over.error.step, over.error.kind) == ("failed", "last", "test.no")
    assert effects.keys == undone(run)
    steps = {step.node: step for step in (await ada.call(runtime.GetTimeline(run_id=run.id))).steps}
    assert {node: step.state for node, step in steps.items()} == {
        "split": "succeeded",
        "act": "succeeded",
        "act/@undo": "succeeded",
        "list": "cancelled",
        "last": "failed",
    }
    assert steps["act/@undo"].attempts == 2


async def test_a_run_that_is_cancelled_ends_when_all_is_undone(ada, effects, undoes):
    run = await ada.call(undoes("waits", Node("wait", config={"seconds": 3600})))

    async def waits():
        steps = (await ada.call(runtime.GetTimeline(run_id=run.id))).steps
        return steps[-1].state == "waiting"

    await eventually(waits, within_s=10)
    effects.gate.clear()

    told = await ada.call(runtime.CancelRun(run_id=run.id))
    again = await ada.call(runtime.CancelRun(run_id=run.id))
    effects.gate.set()
    over = await ended(ada, run)

    assert told.ended_at is None
    assert again.ended_at is None
    assert (over.state, over.error) == ("cancelled", None)
    assert effects.keys == undone(run)


async def test_an_output_says_which_of_it_a_model_had_a_word_in(ada, played, effects):
    described = Component(
        "test.model", "", inputs={"in": Port()}, outputs={"out": Port()}, pure=False, trust="model"
    )
    played.components[described.key] = described
    component._implementations[described.key] = Implementation(described, task=effects.effect)
    played.graphs["words"] = Graph(
        nodes={"draft": Node(described.key), "plain": Node("passthrough"), "tell": Node("passthrough")},
        edges=(Edge("draft.out", "tell.in"),),
        inputs={"x": GraphInput("draft.in"), "z": GraphInput("plain.in")},
        outputs={"told": GraphOutput("tell.out"), "plain": GraphOutput("plain.out")},
    )
    run = await ada.call(runtime.StartRun(graph="words", input={"x": 1, "z": 2}))

    await ended(ada, run)
    output = await ada.call(runtime.GetOutput(run_id=run.id))
    del component._implementations[described.key]

    assert (output.values, output.model) == ({"told": 1, "plain": 2}, {"told": ("draft",)})
