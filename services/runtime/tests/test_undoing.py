"""Undoing: what a run did is undone in the reverse order when it fails or is cancelled, whatever happens meanwhile."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from polis.graph import GraphFaults
from polis.proto.graph import Compensation, Component, Edge, Graph, GraphInput, GraphOutput, Node, Port, Retry
from polis.runtime.component import Implementation, Inputs, Step, StepFailed, Wait, implementations
from polis.runtime.engine.activation import Recorded
from polis.runtime.engine.program import compile_program
from polis.runtime.engine.simulated import pause
from polis.runtime.engine.simulation import Chances, World
from polis.runtime.engine.undoing import END

IN, OUT = {"in": Port()}, {"out": Port()}
SEEDS = 60
BUMPY = Chances(crash=0.05, duplicate=0.2)


class Scene:
    """Effects that are undone, one behind the other for several items, and at the end a step that fails, or takes for ever."""

    def __init__(self, seed: int, *, fails: bool = True, **undo: object) -> None:
        self.world: World | None = None
        self.done: list[str] = []
        self.undone: list[tuple[str, object]] = []
        self.refuse: set[str] = set()
        self.fails = fails
        kinds = (
            Implementation(Component("act", "", inputs=IN, outputs=OUT, pure=False), task=self.act),
            Implementation(
                Component("back", "", inputs={"what": Port()}, outputs=OUT, pure=False), task=self.back
            ),
            Implementation(Component("asks", "", inputs=IN, outputs=OUT, pure=False), waiting=self.asks),
            Implementation(Component("end", "", inputs=IN, outputs=OUT, pure=False), task=self.end),
        )
        self.kinds = dict(implementations()) | {kind.component.key: kind for kind in kinds}
        retry = Retry(attempts=20, delay_s=0.1)
        back = Compensation(**{"component": "back", "retry": retry, **undo})
        inner = Graph(
            nodes={"deep": Node("act", compensate=back)},
            inputs={"item": GraphInput("deep.in")},
            outputs={"result": GraphOutput("deep.out")},
        )
        graph = Graph(
            nodes={
                "split": Node("split"),
                "one": Node("act", compensate=back, retry=retry),
                "plain": Node("act"),
                "asks": Node("asks", compensate=back),
                "each": Node("graph", config={"graph": msgspec.to_builtins(inner)}),
                "list": Node("collect"),
                "end": Node("end"),
            },
            edges=(
                Edge("split.out", "one.in"), Edge("one.out", "plain.in"), Edge("plain.out", "asks.in"), Edge("asks.out", "each.item"),
                Edge("each.result", "list.in"), Edge("list.out", "end.in"),
            ),
            inputs={"x": GraphInput("split.in")},
            outputs={"y": GraphOutput("end.out")},
            timeout_s=604_800,
        )  # fmt: skip
        self.program = self.compiled(graph)
        self.graph = graph

    def compiled(self, graph: Graph):
        return compile_program(
            graph, {key: kind.component for key, kind in self.kinds.items()}, self.kinds.get
        )

    async def act(self, step: Step, inputs: Inputs) -> None:
        await pause()
        self.done.append(step.key)
        step.emit("out", inputs["in"])

    def asks(self, step: Step, inputs: Inputs) -> Wait:
        """What takes effect elsewhere while it is waited for."""
        self.done.append(step.key)
        return Wait("asked", data={"emitted": [["out", inputs["in"]]]})

    async def back(self, step: Step, inputs: Inputs) -> None:
        self.undone.append((step.key, inputs["what"]))
        await pause()
        if any(name in step.key for name in self.refuse) or self.world.random.random() < 0.2:
            raise StepFailed("back.failed", "it cannot be undone", retryable=True)

    async def end(self, step: Step, inputs: Inputs) -> None:
        for _ in range(1 if self.fails else 200):
            await pause()
        raise StepFailed("end.failed", "it was for nothing")

    def run(self, seed: int, chances: Chances = BUMPY) -> World:
        self.world = World(seed, self.program, {"x": [1, 2, 3]}, chances)
        self.world.run()
        return self.world

    def effects(self) -> list[str]:
        """The keys of what can be undone and is in the journal, in the order in which it took effect."""
        found = [
            (msgspec.json.decode(body, type=Recorded).nth, place)
            for place, body in self.world.journal.items()
        ]
        return [place for nth, place in sorted(found) if nth]


def outcomes(world: World) -> list[tuple[str, tuple[int, ...]]]:
    """What was undone, in the order in which that became durable."""
    return [place for place in world.journal if place[0].endswith("/@undo")]


@pytest.mark.parametrize("seed", range(SEEDS))
def test_what_took_effect_is_undone_once_in_the_reverse_order_when_the_run_fails(seed):
    scene = Scene(seed)
    world = scene.run(seed)
    (end,) = world.ends

    assert (end.state, end.error.step, end.error.kind) == ("failed", "end", "end.failed")
    assert len(scene.effects()) == 9
    assert outcomes(world) == [(f"{path}/@undo", item) for path, item in reversed(scene.effects())]
    for key, what in scene.undone:
        assert key == what["key"].replace(what["step"], what["step"] + "/@undo")
        assert what["outputs"] == {"out": [what["inputs"]["in"]]}


@pytest.mark.parametrize("seed", range(SEEDS // 4))
def test_a_graph_that_undoes_is_done_anew_as_a_whole_until_it_has(seed):
    graph = Graph(
        nodes={"first": Node("act"), "second": Node("back")},
        edges=(Edge("first.out", "second.what"),),
        inputs={"of": GraphInput("first.in")},
        outputs={"done": GraphOutput("second.out")},
    )
    scene = Scene(seed, component="graph", config={"graph": msgspec.to_builtins(graph)})
    world = scene.run(seed)
    (end,) = world.ends

    assert (end.state, end.error.kind, end.error.message) == ("failed", "end.failed", "it was for nothing")
    assert outcomes(world) == [(f"{path}/@undo", item) for path, item in reversed(scene.effects())]
    begun = {key.replace("second", "first").removesuffix(".0") for key, _ in scene.undone}
    assert begun <= set(scene.done)  # each attempt at the whole begins with its first step


@pytest.mark.parametrize("seed", range(SEEDS))
def test_what_took_effect_is_undone_when_the_run_is_cancelled_and_nothing_takes_effect_afterwards(seed):
    scene = Scene(seed, fails=False)
    world = scene.run(seed, msgspec.structs.replace(BUMPY, cancel_after=Random(seed).random() * 12))
    (end,) = world.ends

    assert (end.state, end.error) == ("cancelled", None)
    assert outcomes(world) == [(f"{path}/@undo", item) for path, item in reversed(scene.effects())]
    places = list(world.journal)
    after = places[places.index(END) + 1 :] if END in places else []
    assert all(path.endswith("/@undo") for path, _ in after)


def test_what_cannot_be_undone_is_told_and_the_others_are():
    scene = Scene(1, retry=Retry(attempts=2, delay_s=0.1))
    scene.refuse = {"one/@undo/1"}
    world = scene.run(1, Chances())
    (end,) = world.ends

    assert (end.state, end.error.step, end.error.kind) == ("failed", "end", "end.failed")
    assert end.error.message.startswith(
        "it was for nothing; `one/@undo` failed: it cannot be undone (back.failed)"
    )
    assert ("one/@undo", (1,)) not in outcomes(world)
    assert ("one/@undo", (0,)) in outcomes(world)


def test_what_hangs_is_given_up():
    scene = Scene(1, timeout_s=2, retry=None)
    scene.kinds["back"] = Implementation(scene.kinds["back"].component, task=hang)
    scene.program = scene.compiled(scene.graph)

    (end,) = scene.run(1, Chances()).ends

    assert end.error.message.count("step.timeout") == 9


async def hang(step: Step, inputs: Inputs) -> None:
    for _ in range(100_000):
        await pause()


def test_a_run_that_did_nothing_that_can_be_undone_ends_at_once():
    scene = Scene(1)
    world = World(1, scene.program, {"x": []}, Chances())
    scene.world = world
    world.run()

    assert [end.state for end in world.ends] == ["failed"]
    assert END not in world.journal


def test_what_undoes_is_checked_when_the_graph_is_written():
    scene = Scene(1)

    def faults_of(node: Node) -> dict[str, str]:
        graph = msgspec.structs.replace(scene.graph, nodes={**scene.graph.nodes, "one": node})
        with pytest.raises(GraphFaults) as caught:
            scene.compiled(graph)
        return {fault.pointer: fault.detail for fault in caught.value.faults}

    unknown = faults_of(Node("act", compensate=Compensation("nothing")))
    assert unknown == {"/nodes/one/compensate/component": "there is no component `nothing`"}
    assert list(faults_of(Node("act", compensate=Compensation("map", config={"expression": "item +"})))) == [
        "/nodes/one/compensate/config/expression"
    ]
    assert (
        "no effect"
        in faults_of(Node("passthrough", compensate=Compensation("back")))["/nodes/one/compensate"]
    )


def test_a_graph_may_undo():
    inner = {
        "nodes": {"b": {"component": "back", "retry": {"attempts": 20, "delay_s": 0.1}}},
        "inputs": {"effect": {"target": "b.what"}},
    }
    scene = Scene(1)
    undo = Compensation("graph", config={"graph": inner})
    nodes = {**scene.graph.nodes, "one": Node("act", compensate=undo)}
    scene.program = scene.compiled(msgspec.structs.replace(scene.graph, nodes=nodes))

    world = scene.run(1, Chances())

    assert [path for path, _ in world.journal if path.startswith("one/@undo")] == [
        "one/@undo/b",
        "one/@undo",
    ] * 3
    assert world.ends[0].error.kind == "end.failed"
