"""Graphs in graphs: what they mean, on the engine alone. Crashes are for the simulation."""

from __future__ import annotations

import time
from collections.abc import Mapping
from random import Random

import msgspec
import pytest

from polis.graph import GraphFaults, GraphUse
from polis.proto.graph import Component, Edge, Graph, GraphInput, GraphOutput, Node, Port, Retry
from polis.proto.runtime import AttemptFacts, AttemptsOfStep
from polis.runtime.component import Implementation, Inputs, Step, StepFailed, implementations
from polis.runtime.engine import item as items
from polis.runtime.engine.machine import Machine
from polis.runtime.engine.program import Program, compile_program
from polis.runtime.engine.simulated import pause
from polis.runtime.engine.simulation import Chances, World

IN, OUT = {"in": Port()}, {"out": Port()}
AT_WORK: list[int] = []


async def slow(step: Step, inputs: Inputs) -> None:
    """The larger the number, the sooner it is done; it counts how many are at work."""
    AT_WORK.append(1)
    for _ in range(12 - inputs["in"]):
        await pause()
    AT_WORK.append(-1)
    step.emit("out", inputs["in"])


def refuse(step: Step, inputs: Inputs) -> None:
    if inputs["in"] in (3, 5):
        raise StepFailed("test.bad", f"{inputs['in']} is bad")
    step.emit("out", inputs["in"])


def note(step: Step, inputs: Inputs) -> None:
    KEYS.append(step.key)
    step.emit("out", inputs["in"])


async def forever(step: Step, inputs: Inputs) -> None:
    for _ in range(100_000):
        await pause()


KEYS: list[str] = []
KINDS = dict(implementations()) | {
    kind.component.key: kind
    for kind in (
        Implementation(Component("slow", "", inputs=IN, outputs=OUT), task=slow),
        Implementation(Component("refuse", "", inputs=IN, outputs=OUT), inline=refuse),
        Implementation(Component("note", "", inputs=IN, outputs=OUT, pure=False), inline=note),
        Implementation(Component("forever", "", inputs=IN, outputs=OUT), task=forever),
    )
}


def body(key: str = "map", entry: str = "item", exit_: str = "result", **config: object) -> dict[str, object]:
    """A graph of one node, as it stands in a configuration."""
    graph = Graph(
        nodes={"do": Node(key, config=config)},
        inputs={entry: GraphInput("do.in")},
        outputs={exit_: GraphOutput("do.out")},
    )
    return msgspec.to_builtins(graph)


def around(component: str, config: dict[str, object], *outputs: str, **node: object) -> Graph:
    """A graph with one node that runs another, from the input `x` to the outputs named."""
    return Graph(
        nodes={"outer": Node(component, config=config, **node)},
        inputs={"x": GraphInput("outer.in" if component != "graph" else f"outer.{next(iter(config['graph']['inputs']))}")},
        outputs={name: GraphOutput(f"outer.{name}", many=True) for name in outputs},
    )  # fmt: skip


def program_of(graph: Graph, graphs: Mapping[GraphUse, Graph] | None = None) -> Program:
    return compile_program(graph, {key: kind.component for key, kind in KINDS.items()}, KINDS.get, graphs)


def world(graph: Graph, x: object, seed: int = 1) -> World:
    AT_WORK.clear()
    KEYS.clear()
    course = World(seed, program_of(graph), {"x": x}, Chances())
    course.run()
    return course


def run(graph: Graph, x: object, seed: int = 1) -> dict[str, object]:
    (end,) = world(graph, x, seed).ends
    assert end.error is None, end.error
    return msgspec.json.decode(end.output)


def failure(graph: Graph, x: object) -> tuple[str, str]:
    (end,) = world(graph, x).ends
    assert end.state == "failed"
    return end.error.step, end.error.kind


def faults_of(graph: Graph, graphs: Mapping[GraphUse, Graph] | None = None) -> dict[str, str]:
    with pytest.raises(GraphFaults) as caught:
        program_of(graph, graphs)
    return {fault.pointer: fault.detail for fault in caught.value.faults}


def test_a_graph_runs_once_for_each_message_and_its_outputs_are_ports():
    inner = Graph(
        nodes={"s": Node("split"), "m": Node("map", config={"expression": "item * 2"}), "c": Node("collect")},
        edges=(Edge("s.out", "m.in"), Edge("m.out", "c.in")),
        inputs={"numbers": GraphInput("s.in")},
        outputs={"each": GraphOutput("m.out", many=True), "all": GraphOutput("c.out")},
    )
    graph = Graph(
        nodes={"lists": Node("split"), "inner": Node("graph", config={"graph": msgspec.to_builtins(inner)})},
        edges=(Edge("lists.out", "inner.numbers"),),
        inputs={"x": GraphInput("lists.in")},
        outputs={"each": GraphOutput("inner.each", many=True), "all": GraphOutput("inner.all", many=True)},
    )

    assert run(graph, [[1, 2], [], [3]]) == {"each": [2, 4, 6], "all": [[2, 4], [], [6]]}


def test_each_gives_results_in_the_order_of_the_items_with_so_many_at_work():
    graph = around("each.graph", {"graph": body("slow"), "at_once": 3}, "out", "item")

    assert run(graph, [1, 9, 2, 11, 3]) == {"out": [[1, 9, 2, 11, 3]], "item": [1, 9, 2, 11, 3]}
    assert max(sum(AT_WORK[:n]) for n in range(len(AT_WORK))) == 3


def test_without_an_order_results_go_on_as_they_come_and_gather_in_the_order_of_the_items():
    seen = []
    KINDS["see"] = Implementation(
        Component("see", "", inputs=IN, outputs=OUT), inline=lambda _, inputs: seen.append(inputs["in"])
    )
    graph = around("each.graph", {"graph": body("slow"), "ordered": False}, "item", "out")
    graph = msgspec.structs.replace(
        graph, nodes={**graph.nodes, "see": Node("see")}, edges=(Edge("outer.item", "see.in"),)
    )

    assert run(graph, [1, 11, 6]) == {"item": [1, 11, 6], "out": [[1, 11, 6]]}
    assert seen == [11, 6, 1]


def test_items_that_fail_leave_by_a_port_or_fail_the_node_with_the_inner_step_named():
    config = {"graph": body("refuse")}

    parted = run(around("each.graph", config, "out", "failed"), [1, 3, 5, 7])

    assert parted["out"] == [[1, 7]]
    assert [(told["index"], told["item"], told["step"], told["kind"]) for told in parted["failed"]] == [
        (1, 3, "outer/do", "test.bad"),
        (2, 5, "outer/do", "test.bad"),
    ]
    assert failure(around("each.graph", config, "out"), [1, 5, 3]) == ("outer/do", "test.bad")
    [told] = run(around("each.graph", config, "error"), [1, 3, 5])["error"]
    assert (told["step"], told["message"]) == ("outer/do", "3 is bad")


def test_further_inputs_of_a_body_are_ports_and_shared_by_all_items():
    inner = Graph(
        nodes={"do": Node("expression", config={"expression": "[a, b, c]"})},
        inputs={"item": GraphInput("do.a"), "index": GraphInput("do.b"), "by": GraphInput("do.c")},
        outputs={"result": GraphOutput("do.out")},
    )
    graph = around("each.graph", {"graph": msgspec.to_builtins(inner)}, "out")
    graph = msgspec.structs.replace(
        graph, inputs={**graph.inputs, "by": GraphInput("outer.by", required=False, default="me")}
    )

    assert run(graph, ["a", "b"])["out"] == [[["a", 0, "me"], ["b", 1, "me"]]]


def add(by: str = "1") -> dict[str, object]:
    return body("map", "state", "state", expression=f"item + {by}")


def test_a_loop_goes_so_many_rounds_or_until_a_condition_holds_and_no_further_than_its_bound():
    assert run(around("loop", {"graph": add(), "times": 5}, "out"), 1) == {"out": [6]}
    assert run(around("loop", {"graph": add(), "times": 0}, "out"), 1) == {"out": [1]}
    assert run(around("loop", {"graph": add(), "until": "state >= 4"}, "out"), 1) == {"out": [4]}
    assert run(around("loop", {"graph": add(), "until": "state >= 4"}, "out"), 9) == {"out": [10]}
    bounded = {"graph": add(), "until": "state < 0", "most": 10}
    assert failure(around("loop", bounded, "out"), 1) == ("outer", "loop.bound")


def test_while_asks_before_each_round():
    config = {"graph": add(), "condition": "state < 4 && round < 100"}

    assert run(around("while", config, "out"), 1) == {"out": [4]}
    assert run(around("while", config, "out"), 9) == {"out": [9]}
    assert failure(around("while", {**config, "condition": "true", "most": 3}, "out"), 1) == (
        "outer",
        "loop.bound",
    )


def test_a_round_without_a_state_is_an_error():
    drops = body("filter", "state", "state", expression="item < 3")

    assert failure(around("loop", {"graph": drops, "times": 9}, "out"), 5) == ("outer", "loop.no_state")


def test_effects_have_the_path_and_the_turns_in_their_keys():
    inner = around("loop", {"graph": body("note", "state", "state"), "times": 2}, "out")
    inner = msgspec.structs.replace(
        inner, inputs={"item": GraphInput("outer.in")}, outputs={"result": GraphOutput("outer.out")}
    )
    ran = world(around("each.graph", {"graph": msgspec.to_builtins(inner)}, "out"), ["a", "b"])

    assert sorted(KEYS) == [f"run/outer/outer/do/-/{item}/{turn}" for item in (0, 1) for turn in (0, 1)]
    assert all(items.parse(items.text(item)) == item for _, item in ran.journal)
    assert len(ran.journal) == 4


def test_what_a_node_gives_its_graph_is_checked_as_what_a_run_starts_with():
    text = {**body("refuse"), "inputs": {"item": {"target": "do.in", "schema": {"type": "string"}}}}

    parted = run(around("each.graph", {"graph": text}, "failed"), ["a", 1])

    assert [(told["index"], told["kind"]) for told in parted["failed"]] == [(1, "input.invalid")]


def test_a_limit_of_time_stops_the_graph_and_what_is_at_work_in_it():
    graph = around("each.graph", {"graph": body("forever")}, "error", timeout_s=3)

    ran = world(graph, [1, 2])

    assert msgspec.json.decode(ran.ends[0].output)["error"][0]["kind"] == "step.timeout"
    assert ran.now < 100


def test_what_it_may_take_counts_from_when_it_first_began_whoever_has_the_run_by_then():
    graph = around("graph", {"graph": body("forever")}, "result", timeout_s=30)
    machine = Machine("run", program_of(graph), None, clock=lambda: 100.0, random=Random(1), elapsed_s=20)
    lost, anew = AttemptFacts("-", 1, 4_000, 6_000, error="step.lost"), AttemptFacts("-", 1, 6_000)
    machine.history.recall(msgspec.json.encode([AttemptsOfStep("outer", 2, (lost, anew))]))

    machine.start({"x": 1})
    machine.turn(1)

    assert machine.rests_until == 80 + 4 + 30


def test_the_timeline_tells_of_inner_steps_together_by_path():
    graph = around("each.graph", {"graph": body("refuse")}, "out", "failed")
    machine = Machine("run", program_of(graph), None, clock=time.monotonic, random=Random(1))
    machine.start({"x": [1, 3, 4]})
    assert [step.state for step in machine.steps()] == ["pending", "pending"]
    while machine.turn(1):
        pass

    facts = {step.node: step for step in machine.changes()}
    inner = facts["outer/do"]
    assert list(facts) == ["outer", "outer/do"]
    assert (inner.state, inner.received, inner.emitted, inner.attempts) == ("succeeded", 3, 2, 3)
    assert inner.error == "3 is bad"


def test_a_graph_is_checked_with_those_in_it_when_it_is_written():
    misses = around("each.graph", {"graph": body(entry="thing", expression="item")}, "out")
    assert faults_of(misses) == {
        "/nodes/outer/config/graph/inputs": "a graph for each item has an input `item`"
    }

    unknown = around("each.graph", {"graph": body("nothing")}, "out")
    assert faults_of(unknown) == {
        "/nodes/outer/config/graph/nodes/do/component": "there is no component `nothing`"
    }

    compiles = around(
        "loop", {"graph": body("map", "state", "state", expression="item +"), "times": 1}, "out"
    )
    assert list(faults_of(compiles)) == ["/nodes/outer/config/graph/nodes/do/config/expression"]

    ports = around("graph", {"graph": body(expression="item")}, "nothing")
    assert "has no output `nothing`" in faults_of(ports)["/outputs/nothing/source"]

    gone = around("each.graph", {"graph": body(expression="item"), "ordered": False}, "error")
    assert "take what fails from `failed`" in faults_of(gone)["/outputs/error/source"]

    free = {"graph": body(expression="item"), "ordered": False}
    again = around("each.graph", free, "out", retry=Retry(attempts=3))
    assert "is not tried again" in faults_of(again)["/nodes/outer/config/graph"]


def test_graphs_of_the_catalog_are_checked_and_none_runs_itself():
    named = {"graph": {"$use": "graph/b@2"}}
    graph = Graph(nodes={"outer": Node("graph", config=named)}, inputs={"x": GraphInput("outer.item")})
    use = GraphUse("b", 2)
    inner = msgspec.convert(body(expression="item"), Graph)

    assert [stage.path for stage in program_of(graph, {use: inner}).steps] == ["outer", "outer/do"]
    assert faults_of(graph) == {"/nodes/outer/config/graph/$use": "there is no graph `b@2`"}
    around_itself = msgspec.structs.replace(
        inner, nodes={**inner.nodes, "again": Node("graph", config=named)}
    )
    assert (
        "a graph runs itself: b@2 -> b@2"
        in faults_of(graph, {use: around_itself})["/nodes/outer/config/graph"]
    )


def test_graphs_stand_in_graphs_to_a_bound():
    def nested(depth: int) -> dict[str, object]:
        graph = body(expression="item")
        for _ in range(depth - 1):
            graph = msgspec.to_builtins(
                Graph(
                    nodes={"do": Node("graph", config={"graph": graph})},
                    inputs={"item": GraphInput("do.item")},
                    outputs={"result": GraphOutput("do.result")},
                )
            )
        return graph

    assert run(around("graph", {"graph": nested(8)}, "result"), 7) == {"result": [7]}
    assert "depth of 8" in next(iter(faults_of(around("graph", {"graph": nested(9)}, "result")).values()))


class Shaky:
    """A graph in a graph that acts, and fails after that now and then; what comes behind acts on what it gave."""

    def __init__(self) -> None:
        self.nonce = 0
        self.world: World | None = None
        kinds = (
            Implementation(Component("act", "", inputs=IN, outputs=OUT, pure=False), task=self.act),
            Implementation(Component("shake", "", inputs=IN, outputs=OUT), inline=self.shake),
        )
        self.kinds = dict(implementations()) | {kind.component.key: kind for kind in kinds}
        inner = Graph(
            nodes={"act": Node("act"), "shake": Node("shake")},
            edges=(Edge("act.out", "shake.in"),),
            inputs={"item": GraphInput("act.in")},
            outputs={"result": GraphOutput("shake.out")},
        )
        config = {"graph": msgspec.to_builtins(inner), "at_once": 2}
        self.graph = Graph(
            nodes={
                "each": Node("each.graph", config=config, retry=Retry(attempts=30, delay_s=0.1)),
                "behind": Node("act"),
            },
            edges=(Edge("each.item", "behind.in"),),
            inputs={"x": GraphInput("each.in")},
            outputs={"y": GraphOutput("behind.out", many=True)},
        )

    def run(self, seed: int, chances: Chances) -> World:
        components = {key: kind.component for key, kind in self.kinds.items()}
        program = compile_program(self.graph, components, self.kinds.get)
        self.world = World(seed, program, {"x": [1, 2, 3]}, chances)
        self.world.run()
        return self.world

    async def act(self, step: Step, inputs: Inputs) -> None:
        """Each execution gives another result, so that one shows which came of two of them."""
        assert self.world is not None
        await pause()
        self.world.effects.append((step.key, dict(inputs)))
        self.nonce += 1
        step.emit("out", [inputs["in"], self.nonce])

    def shake(self, step: Step, inputs: Inputs) -> None:
        assert self.world is not None
        if self.world.random.random() < 0.3:
            raise StepFailed("shake.hiccup", "later, perhaps", retryable=True)
        step.emit("out", inputs["in"])


@pytest.mark.parametrize("seed", range(20))
def test_a_graph_that_failed_is_done_anew_as_a_whole_and_nothing_of_it_counts_before(seed: int):
    world = Shaky().run(seed, Chances(crash=0.05, duplicate=0.2, lost=0.2))

    (end,) = world.ends
    given: dict[str, list[object]] = {}
    for key, inputs in world.effects:
        if inputs["in"] not in given.setdefault(key, []):
            given[key].append(inputs["in"])
    behind = [inputs for key, inputs in given.items() if "/behind/" in key]
    assert end.state == "succeeded", end.error
    assert [y[0][0] for y in msgspec.json.decode(end.output)["y"]] == [1, 2, 3]
    assert [len(inputs) for inputs in behind] == [1, 1, 1]


def test_an_attempt_of_a_graph_names_what_it_does_anew():
    keys = {key.partition("/")[2] for seed in range(5) for key, _ in Shaky().run(seed, Chances()).effects}

    assert {"each/act/-/0", "each/act/-/1000000000"} <= keys
