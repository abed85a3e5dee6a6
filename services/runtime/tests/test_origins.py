"""Runs made from others take over what nothing depends on that is done anew; many runs are started in one commit."""

from __future__ import annotations

import asyncio

import pytest

from polis.proto import runtime
from polis.proto.graph import Compensation, Edge, Graph, GraphInput, GraphOutput, Node
from polis.proto.problems import Forbidden, KeyReused
from polis.runtime import component
from polis.runtime.component import Implementation, StepFailed
from polis.runtime.runs import takeover
from polis.testing import eventually


class Fragile:
    """A component of the tests that fails for what it is told to fail for."""

    def __init__(self):
        self.fails: list[object] = []
        self.keys: list[str] = []

    async def effect(self, step, inputs):
        if inputs["in"] in self.fails:
            raise StepFailed("test.fragile", "it is told to")
        self.keys.append(step.key)
        step.emit("out", inputs["in"])


@pytest.fixture(scope="module")
def fragile(played, components):
    made = Fragile()
    described = played.components["test.effect"]
    described = type(described)(
        "test.fragile", "test.fragile", inputs=described.inputs, outputs=described.outputs, pure=False
    )
    played.components["test.fragile"] = described
    component._implementations["test.fragile"] = Implementation(described, task=made.effect)
    yield made
    del component._implementations["test.fragile"]


async def ended(person, run_id):
    async def look():
        run = await person.call(runtime.GetRun(run_id=run_id))
        return run if run.state in runtime.TERMINAL else None

    return await eventually(look, within_s=5.0)


def places(keys, run_id):
    """What was done in a run, as `node/item`."""
    return sorted(key.partition("/")[2] for key in keys if key.startswith(str(run_id)))


async def test_a_rerun_does_a_step_and_all_behind_it_anew_and_takes_over_the_rest(
    ada, played, effects, graph_of, refused
):
    played.graphs["rerun"] = graph_of("test.effect", "split", "test.effect", "collect")
    first = await ada.call(runtime.StartRun(graph="rerun", input={"x": [1, 2]}, tags=("a",)))
    await ended(ada, first.id)
    played.graphs.pop("rerun")

    again = await ada.call(runtime.RerunRun(run_id=first.id, step="n2"))

    assert (again.state, again.digest, again.tags) == ("queued", first.digest, ("a",))
    assert again.origin == runtime.Origin(first.id, "rerun", "n2")
    assert (await ended(ada, again.id)).state == "succeeded"
    assert places(effects.keys, again.id) == ["n2/0.0", "n2/0.1"]
    assert (await ada.call(runtime.GetOutput(run_id=again.id))).values == {"y": [[1, 2]]}
    assert [run.id for run in (await ada.call(runtime.ListRuns(origin_id=first.id))).items] == [again.id]
    unknown = await refused(ada.call(runtime.RerunRun(run_id=first.id, step="n9")))
    assert unknown == runtime.StepUnknown(step="n9")


async def test_a_retry_does_what_failed_once_more_and_no_effect_twice(
    ada, played, fragile, effects, graph_of, refused
):
    played.graphs["retry"] = graph_of("test.effect", "split", "test.fragile", "test.effect", "collect")
    fragile.fails = [2]
    first = await ada.call(runtime.StartRun(graph="retry", input={"x": [1, 2]}))
    assert (await ended(ada, first.id)).error.step == "n2"
    done = places(effects.keys, first.id)

    fragile.fails = []
    again = await ada.call(runtime.RetryRun(run_id=first.id), key="once")
    assert (await ended(ada, again.id)).state == "succeeded"

    assert again.origin == runtime.Origin(first.id, "retry")
    assert (await ada.call(runtime.RetryRun(run_id=first.id), key="once")).id == again.id
    assert (await ada.call(runtime.GetOutput(run_id=again.id))).values == {"y": [[1, 2]]}
    twice = set(places(effects.keys + fragile.keys, first.id)) & set(
        places(effects.keys + fragile.keys, again.id)
    )
    assert twice == set()
    assert "n0/-" in done
    nothing = await refused(ada.call(runtime.RetryRun(run_id=again.id)))
    assert nothing == runtime.NothingFailed(state="succeeded")


async def test_what_came_of_a_failure_is_no_answer_to_its_success(ada, played, fragile, effects, refused):
    """The failed item went by the error port and was left out of what was gathered: behind that all is done anew."""
    played.graphs["handled"] = Graph(
        nodes={
            "all": Node("split"), "try": Node("test.fragile"), "told": Node("test.effect"),
            "rest": Node("collect"), "send": Node("test.effect"), "stop": Node("test.fragile"),
        },
        edges=(
            Edge("all.out", "try.in"), Edge("try.error", "told.in"), Edge("try.out", "rest.in"),
            Edge("rest.out", "send.in"), Edge("send.out", "stop.in"),
        ),
        inputs={"x": GraphInput("all.in")},
        outputs={"y": GraphOutput("stop.out")},
    )  # fmt: skip
    fragile.fails = [2, [1, 3]]
    first = await ada.call(runtime.StartRun(graph="handled", input={"x": [1, 2, 3]}))
    assert (await ended(ada, first.id)).error.step == "stop"
    assert places(effects.keys, first.id) == ["send/0", "told/1.0"]

    fragile.fails = []
    again = await ada.call(runtime.RetryRun(run_id=first.id))

    assert (await ended(ada, again.id)).state == "succeeded"
    assert places(effects.keys, again.id) == ["send/0"]
    assert places(fragile.keys, again.id) == ["stop/0.0", "try/1"]
    assert (await ada.call(runtime.GetOutput(run_id=again.id))).values == {"y": [1, 2, 3]}


async def test_a_fork_does_all_anew_with_the_input_that_is_other(ada, played, effects, graph_of, refused):
    graph = graph_of("test.effect")
    graph.inputs["unused"] = GraphInput("n0.in", required=False)
    played.graphs["fork"] = graph
    effects.gate.clear()
    first = await ada.call(runtime.StartRun(graph="fork", input={"x": 1}))

    open_ = await refused(ada.call(runtime.RerunRun(run_id=first.id, step="n0")))
    fork = await ada.call(runtime.ForkRun(run_id=first.id, input={"x": 2}))
    wrong = await refused(ada.call(runtime.ForkRun(run_id=first.id, input={"z": 2})))
    effects.gate.set()

    assert open_ == runtime.RunOpen(state="running")
    assert [fault.pointer for fault in wrong.faults] == ["/input/z"]
    assert (await ended(ada, fork.id)).origin == runtime.Origin(first.id, "fork")
    assert (await ada.call(runtime.GetOutput(run_id=fork.id))).values == {"y": [2]}
    assert (await ended(ada, first.id)).state == "succeeded"


async def test_nobody_takes_over_what_a_run_did_for_somebody_else(
    ada, actors, caller, played, graph_of, refused
):
    played.graphs["own"] = graph_of("passthrough", "split")
    first = await ada.call(runtime.StartRun(graph="own", input={"x": 1}))
    colleague = actors.person("member", org_id=ada.org_id)
    stranger = actors.person("owner")
    for person, problem in ((colleague, Forbidden), (stranger, runtime.RunNotFound)):
        person.caller = caller
        for request in (
            runtime.RetryRun(run_id=first.id), runtime.ForkRun(run_id=first.id),
            runtime.RerunRun(run_id=first.id, step="n0"),
        ):  # fmt: skip
            assert isinstance(await refused(person.call(request)), problem)
    actors.agent(ada.org_id, "shared")
    acting = await ada.call(runtime.StartRun(graph="own", input={"x": 1}, agent="shared"))
    manager = actors.person("member", org_id=ada.org_id)
    manager.caller = caller

    again = await manager.call(runtime.RetryRun(run_id=acting.id))

    assert (again.actor_id, again.started_by) == (acting.actor_id, manager.principal_id)


async def test_a_rerun_asks_people_again_on_its_way(graph_of):
    """An approval is given once: what it let through is not done again on the strength of it."""

    class Stage:
        collector = body = undo = None

        def __init__(self, index, key, sources):
            self.index, self.name, self.sources = index, f"n{index}", sources
            self.component = component.implementation("passthrough").component
            self.component = type(self.component)(key, key)

    class Outer(Stage):
        class Body:
            steps = (Stage(0, "ask", ()),)

        body = Body

    class Program:
        stages = (
            Stage(0, "passthrough", ()), Stage(1, "ask", (0,)), Stage(2, "passthrough", (1,)),
            Stage(3, "passthrough", (2,)), Outer(4, "graph", (0,)), Stage(5, "passthrough", (4,)),
        )  # fmt: skip
        steps = stages

    assert takeover.of_step(Program(), "n3").nodes == ("n1", "n2", "n3")
    assert takeover.of_step(Program(), "n5").nodes == ("n4", "n5")


async def test_many_runs_start_in_one_commit_and_each_input_has_its_outcome(
    ada, played, effects, graph_of, refused
):
    graph = graph_of("test.effect")
    graph.inputs["x"] = GraphInput("n0.in", schema={"type": "integer"})
    played.graphs["batch"] = graph
    inputs = tuple({"x": "no number" if n == 7 else n} for n in range(60))
    request = runtime.StartRuns(graph="batch", inputs=inputs, tags=("batch",))

    batch = await ada.call(request, key="once")
    repeated = await ada.call(request, key="once")
    await asyncio.gather(*(ended(ada, one.run_id) for one in batch.outcomes if one.run_id))

    assert repeated == batch
    assert [n for n, one in enumerate(batch.outcomes) if one.run_id is None] == [7]
    assert [fault.pointer for fault in batch.outcomes[7].faults] == ["/input/x"]
    assert len((await ada.call(runtime.ListRuns(tag="batch", state="succeeded", limit=200))).items) == 59
    assert len(effects.keys) == 59
    other = runtime.StartRuns(graph="batch", inputs=inputs[:1])
    assert isinstance(await refused(ada.call(other, key="once")), KeyReused)


async def test_a_retry_does_again_what_was_undone_and_does_not_undo_what_another_run_did(
    ada, played, fragile, effects
):
    """`stays` cannot be undone: it is taken over. `act` was undone when the run failed, and is done again."""
    undone = Compensation("test.effect")
    played.graphs["undone"] = Graph(
        nodes={
            "stays": Node("test.effect"), "act": Node("test.effect", compensate=undone),
            "then": Node("test.effect"), "stop": Node("test.fragile"),
        },
        edges=(Edge("stays.out", "act.in"), Edge("act.out", "then.in"), Edge("then.out", "stop.in")),
        inputs={"x": GraphInput("stays.in")},
        outputs={"y": GraphOutput("stop.out")},
    )  # fmt: skip
    fragile.fails = [1]
    first = await ada.call(runtime.StartRun(graph="undone", input={"x": 1}))
    assert (await ended(ada, first.id)).state == "failed"
    assert places(effects.keys, first.id) == ["act/0", "act/@undo/0", "stays/-", "then/0.0"]

    again = await ada.call(runtime.RetryRun(run_id=first.id))
    assert (await ended(ada, again.id)).state == "failed"
    fragile.fails = []
    last = await ada.call(runtime.RetryRun(run_id=again.id))

    assert (await ended(ada, last.id)).state == "succeeded"
    assert places(effects.keys, again.id) == ["act/0", "act/@undo/0", "then/0.0"]
    assert places(effects.keys, last.id) == ["act/0", "then/0.0"]
    fragile.fails = [1]
    rerun = await ada.call(runtime.RerunRun(run_id=last.id, step="stop"))
    assert (await ended(ada, rerun.id)).state == "failed"
    assert places(effects.keys, rerun.id) == []
