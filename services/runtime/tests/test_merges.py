"""How the messages of several inputs come together: any, all, zip, latest; and what a repetition makes of it."""

from __future__ import annotations

from collections import defaultdict

import msgspec
import pytest

from polis.graph import GraphFaults
from polis.proto.graph import Component, Edge, Graph, GraphInput, GraphOutput, Node, Port
from polis.runtime.component import Implementation, Inputs, Step
from polis.runtime.engine.program import compile_program
from polis.runtime.engine.simulated import pause
from polis.runtime.engine.simulation import Chances, World

IN, OUT = {"in": Port()}, {"out": Port()}
BOTH = {"a": Port(), "b": Port()}
BUMPY = Chances(crash=0.05, duplicate=0.2)
SEEDS = 60


async def stream(step: Step, inputs: Inputs) -> None:
    """Pure, and it takes its time."""
    for value in inputs["in"]:
        await pause()
        step.emit("out", value)


def pair(step: Step, inputs: Inputs) -> None:
    step.emit("out", [inputs.get("a"), inputs.get("b")])


DONE: list[tuple[str, object]] = []


async def act(step: Step, inputs: Inputs) -> None:
    DONE.append((step.key, inputs["in"]))
    await pause()
    step.emit("out", inputs["in"])


KINDS = {
    kind.component.key: kind
    for kind in (
        Implementation(Component("stream", "", inputs=IN, outputs=OUT), task=stream),
        Implementation(Component("pair", "", inputs=BOTH, outputs=OUT, merge="all"), inline=pair),
        Implementation(Component("each", "", inputs=BOTH, outputs=OUT, merges=("latest",)), inline=pair),
        Implementation(Component("act", "", inputs=IN, outputs=OUT, pure=False), task=act),
    )
}


def joined(merge: str | None, component: str = "pair", *, act: bool = False) -> Graph:
    """Two streams that meet in one node, and perhaps an effect behind it."""
    nodes = {"one": Node("stream"), "two": Node("stream"), "join": Node(component, merge=merge)}
    edges = [Edge("one.out", "join.a"), Edge("two.out", "join.b")]
    if act:
        nodes["act"] = Node("act", concurrency=2)
        edges.append(Edge("join.out", "act.in"))
    return Graph(
        nodes=nodes,
        edges=tuple(edges),
        inputs={"a": GraphInput("one.in"), "b": GraphInput("two.in")},
        outputs={
            "pairs": GraphOutput("act.out" if act else "join.out", many=True),
            "errors": GraphOutput("join.error", many=True),
        },
    )


def world(
    graph: Graph, a: list[object], b: list[object], *, seed: int = 1, chances: Chances | None = None
) -> World:
    program = compile_program(graph, {key: kind.component for key, kind in KINDS.items()}, KINDS.get)
    DONE.clear()
    course = World(seed, program, {"a": a, "b": b}, chances or Chances())
    course.run()
    return course


def run(graph: Graph, a: list[object], b: list[object], **how) -> dict[str, list[object]]:
    (end,) = world(graph, a, b, **how).ends
    assert end.error is None, end.error
    return msgspec.json.decode(end.output)


def test_all_takes_the_first_of_each_then_the_second_until_one_ends():
    assert run(joined(None), [1, 2, 3], ["x", "y"])["pairs"] == [[1, "x"], [2, "y"]]
    assert run(joined("all"), [], ["x", "y"])["pairs"] == []


def test_zip_wants_a_partner_for_every_message():
    assert run(joined("zip"), [1, 2], ["x", "y"]) == {"pairs": [[1, "x"], [2, "y"]], "errors": []}
    uneven = run(joined("zip"), [1, 2, 3], ["x"])
    assert uneven["pairs"] == [[1, "x"]]
    [told] = uneven["errors"]
    assert (told["step"], told["kind"], told["inputs"]) == ("join", "merge.uneven", {"a": 2})


@pytest.mark.parametrize("seed", range(10))
def test_latest_takes_each_message_with_the_last_of_the_others(seed):
    pairs = run(joined("latest"), [1, 2, 3], ["x", "y"], seed=seed)["pairs"]

    assert 1 <= len(pairs) <= 4
    assert pairs[-1] == [3, "y"]
    assert pairs == sorted(pairs)


def test_latest_waits_until_each_input_has_had_one():
    assert run(joined("latest"), [1, 2], [])["pairs"] == []


@pytest.mark.parametrize("seed", range(SEEDS))
def test_what_came_together_in_time_comes_together_again_after_a_crash(seed):
    """Each effect has one input, however often it is begun: what it was given is in the journal before it."""
    (end,) = world(joined("latest", act=True), [1, 2, 3, 4], [5, 6, 7], seed=seed, chances=BUMPY).ends
    given = defaultdict(set)
    for key, value in DONE:
        given[key].add(tuple(value))

    assert end.state == "succeeded"
    assert {key: values for key, values in given.items() if len(values) > 1} == {}
    pairs = msgspec.json.decode(end.output)["pairs"]
    assert sorted(map(tuple, pairs)) == sorted(value for values in given.values() for value in values)


def test_the_check_of_what_came_together_catches_that_it_is_not_kept(monkeypatch):
    from polis.runtime.engine import latest

    def forgetful(frame, node):
        node.stage.chooses = False
        return take(frame, node)

    take = latest.take
    monkeypatch.setattr(latest, "take", forgetful)

    with pytest.raises(AssertionError):  # noqa: PT012 - whichever seed shows it
        for seed in range(SEEDS):
            test_what_came_together_in_time_comes_together_again_after_a_crash(seed)


def test_a_node_may_choose_what_its_component_allows():
    assert len(run(joined("latest", "each"), [1], [2])["pairs"]) == 1
    with pytest.raises(GraphFaults) as caught:
        world(joined("zip", "each"), [], [])
    [fault] = caught.value.faults
    assert (fault.pointer, fault.detail) == (
        "/nodes/join/merge",
        "`each` takes its inputs by `any`, `latest`",
    )
