"""An open run goes on by another version of its graph, where all that it has done holds under that one too."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import msgspec
import pytest

from polis.proto import catalog, runtime
from polis.proto.contract import event_type_of
from polis.proto.graph import Component, Edge, Graph, GraphInput, GraphOutput, Node, Port, Retry
from polis.proto.problems import Forbidden
from polis.runtime import component
from polis.runtime.component import Implementation, StepFailed
from polis.runtime.engine import repeats
from polis.testing import eventually


@pytest.fixture
def activate(ada, played):
    """Make another version of a graph the active one, and have it told."""

    async def activate(key, graph):
        played.graphs[key] = graph
        changed = catalog.VersionActivated(ada.org_id, uuid4(), "production", 2)
        played.bus.publish(event_type_of(catalog.VersionActivated).subject_at_once(changed), b"{}")
        await played.bus.flush(5)

    return activate


def longer(graph):
    """The graph with a step more in front of its output."""
    last = f"n{len(graph.nodes) - 1}"
    return msgspec.structs.replace(
        graph,
        nodes={**graph.nodes, "more": Node("collect", title="More")},
        edges=(*graph.edges, Edge(f"{last}.out", "more.in")),
        outputs={"z": GraphOutput("more.out")},
    )


@pytest.fixture
def hold(played, components):
    """A component of the tests that waits until it is let go; `begun` holds what is behind durable outcomes."""
    gate = asyncio.Event()
    gate.begun = []

    async def effect(step, inputs):
        gate.begun.append(step.key)
        await gate.wait()
        step.emit("out", inputs["in"])

    described = Component(
        "test.hold", "test.hold", inputs={"in": Port()}, outputs={"out": Port()}, pure=False
    )
    played.components["test.hold"] = described
    component._implementations["test.hold"] = Implementation(described, task=effect)
    yield gate
    del component._implementations["test.hold"]


async def test_an_open_run_goes_on_by_another_version_and_does_nothing_again_that_is_done(
    ada, played, effects, hold, graph_of, activate
):
    first = graph_of("split", "test.effect", "test.hold", "test.effect")
    await activate("moves", first)
    run = await ada.call(runtime.StartRun(graph="moves", input={"x": [1, 2]}))
    await eventually(lambda: len(hold.begun) == 2)
    await activate("moves", longer(first))

    dry = await ada.call(runtime.MigrateRun(run_id=run.id, dry_run=True))
    moved = await ada.call(runtime.MigrateRun(run_id=run.id))
    again = await ada.call(runtime.MigrateRun(run_id=run.id))
    hold.set()

    assert (dry.migrated, dry.obstacles, dry.run.digest) == (False, (), run.digest)
    assert {(change.op, change.path) for change in dry.changes} == {
        ("add", "/nodes/more"), ("add", "/edges/3"), ("remove", "/outputs/y"), ("add", "/outputs/z"),
    }  # fmt: skip
    assert (moved.migrated, moved.run.digest, moved.digest) == (True, dry.digest, dry.digest)
    assert (again.migrated, again.changes) == (False, ())

    async def output():
        if (await ada.call(runtime.GetRun(run_id=run.id))).state == "succeeded":
            return (await ada.call(runtime.GetOutput(run_id=run.id))).values
        return None

    assert await eventually(output) == {"z": [1, 2]}
    assert sorted(key.partition("/")[2] for key in effects.keys) == [
        "n1/0", "n1/1", "n3/0.0.0", "n3/1.0.0",
    ]  # fmt: skip
    watched = await ada.call(runtime.WatchRun(run_id=run.id, after=0))
    assert [t.seq for t in watched.transitions] == list(range(1, watched.seq + 1))
    assert "more" in {t.step.node for t in watched.transitions if t.step}
    assert (await ada.call(runtime.GetRun(run_id=run.id))).digest == dry.digest


async def test_what_does_not_hold_under_the_other_version_is_listed_and_nothing_is_changed(
    ada, actors, caller, effects, hold, graph_of, activate, refused
):
    first = graph_of("map", "test.effect", "test.hold")
    first.nodes["n0"] = Node("map", config={"expression": "item"})
    await activate("stays", first)
    run = await ada.call(runtime.StartRun(graph="stays", input={"x": 1}))
    await eventually(lambda: hold.begun)
    other = graph_of("map", "test.wait", "passthrough")
    other.nodes["n0"] = Node("map", config={"expression": "item * 2"})
    other = msgspec.structs.replace(other, inputs={"z": GraphInput("n0.in")})
    await activate("stays", other)
    colleague = actors.person("member", org_id=ada.org_id)
    colleague.caller = caller

    dry = await ada.call(runtime.MigrateRun(run_id=run.id, dry_run=True))
    problem = await refused(ada.call(runtime.MigrateRun(run_id=run.id)))

    assert problem == runtime.RunIncompatible(faults=dry.obstacles)
    assert {fault.pointer for fault in dry.obstacles} == {
        "/input/x", "/input/z", "/nodes/n0", "/nodes/n0/config", "/nodes/n1/component",
    }  # fmt: skip
    assert isinstance(await refused(colleague.call(runtime.MigrateRun(run_id=run.id))), Forbidden)
    hold.set()
    await eventually(lambda: _ended(ada, run.id))
    assert (await ada.call(runtime.GetRun(run_id=run.id))).digest == run.digest
    assert await refused(ada.call(runtime.MigrateRun(run_id=run.id))) == runtime.RunEnded(state="succeeded")


async def test_a_run_that_waits_for_an_attempt_makes_it_by_the_other_version(
    ada, played, components, activate, monkeypatch, admin
):
    monkeypatch.setattr(repeats, "NEAR_S", 0.0)

    async def away(step, inputs):
        raise StepFailed("test.away", "there is nobody", retryable=True)

    described = Component("test.away", "", inputs={"in": Port()}, outputs={"out": Port()}, pure=False)
    played.components["test.away"] = described
    monkeypatch.setitem(component._implementations, "test.away", Implementation(described, task=away))
    first = Graph(  # however many attempts it makes meanwhile
        nodes={"call": Node("test.away", retry=Retry(attempts=20, delay_s=2, factor=1))},
        inputs={"x": GraphInput("call.in")},
        outputs={"y": GraphOutput("call.out", many=True)},
    )
    await activate("waits", first)
    run = await ada.call(runtime.StartRun(graph="waits", input={"x": 1}))

    async def at_rest():
        return await admin.fetchval("select owner is null from runtime.runs where id = $1", run.id)

    await eventually(at_rest)
    other = msgspec.structs.replace(first, nodes={"call": Node("test.effect", retry=Retry())})
    await activate("waits", other)

    assert (await ada.call(runtime.MigrateRun(run_id=run.id))).migrated

    await eventually(lambda: _ended(ada, run.id), within_s=10)
    assert (await ada.call(runtime.GetOutput(run_id=run.id))).values == {"y": [1]}


async def _ended(person, run_id):
    return (await person.call(runtime.GetRun(run_id=run_id))).state in runtime.TERMINAL
