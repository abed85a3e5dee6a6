"""What values are made of: a model's word is carried along to whatever comes of it, and a guard lets none pass unapproved."""

from __future__ import annotations

import time
from random import Random

import msgspec

from polis.proto.graph import Component, Edge, Graph, GraphInput, GraphOutput, Node, Port
from polis.runtime.component import Implementation, Inputs, Step, implementation, implementations
from polis.runtime.engine.machine import Machine
from polis.runtime.engine.program import compile_program
from polis.runtime.engine.requests import Record

IN, OUT = {"in": Port()}, {"out": Port()}


def same(step: Step, inputs: Inputs) -> None:
    step.emit("out", inputs["in"])


KINDS = {
    kind.component.key: kind
    for kind in (
        Implementation(
            Component("model", "", inputs=IN, outputs=OUT, pure=False, trust="model"), inline=same
        ),
        Implementation(
            Component("people", "", inputs=IN, outputs=OUT, pure=False, trust="approval"), inline=same
        ),
        Implementation(Component("act", "", inputs=IN, outputs=OUT, pure=False), inline=same),
    )
}


def lookup(key: str) -> Implementation | None:
    return KINDS.get(key) or implementation(key)


def executed(
    nodes: dict[str, Node], edges: list[tuple[str, str]], inputs: dict[str, str], outputs: dict[str, str]
):
    """The steps by name, and the output, of a run that starts with `["a", "b"]` or 1 at every input."""
    graph = Graph(
        nodes=nodes,
        edges=tuple(Edge(*edge) for edge in edges),
        inputs={name: GraphInput(target) for name, target in inputs.items()},
        outputs={name: GraphOutput(source, many=True) for name, source in outputs.items()},
    )
    components = {key: kind.component for key, kind in {**implementations(), **KINDS}.items()}
    program = compile_program(graph, components, lookup)
    machine = Machine("run", program, None, clock=time.monotonic, random=Random(1))
    machine.start({name: ["a", "b"] if name == "list" else 1 for name in inputs})
    while machine.state == "running":
        machine.turn(1)
        requests, machine.requests = machine.requests, []
        for request in requests:
            if isinstance(request, Record):
                machine.recorded(request.activation)
            elif hasattr(request, "attempt"):
                finish(machine, request.attempt)
    machine.changes()
    output = requests[-1].output
    return {step.node: step for step in machine.steps()}, None if output is None else msgspec.json.decode(
        output
    )


def finish(machine: Machine, attempt) -> None:
    """Let an attempt end that waits for nothing."""
    node = attempt.activation.node
    work = (
        node.collector.finish()
        if node.collector is not None
        else node.stage.task(attempt, attempt.activation.inputs)
    )
    for _ in work.__await__():
        pass
    machine.finished(attempt)


def test_what_is_made_of_a_models_word_says_so_and_what_is_not_does_not():
    nodes = {
        "draft": Node("model"), "plain": Node("act"), "both": Node("merge"), "list": Node("collect"), "tell": Node("act"),
    }  # fmt: skip
    edges = [
        ("draft.out", "both.a"), ("plain.out", "both.b"), ("both.out", "list.in"), ("plain.out", "tell.in"),
    ]  # fmt: skip
    steps, output = executed(
        nodes, edges, {"x": "draft.in", "y": "plain.in"}, {"l": "list.out", "t": "tell.out"}
    )

    assert output == {"l": [[1, 1]], "t": [1]}
    assert {name: step.model for name, step in steps.items()} == {
        "draft": ("draft",), "plain": (), "both": ("draft",), "list": ("draft",), "tell": (),
    }  # fmt: skip


def test_a_guard_refuses_each_message_by_what_it_was_made_of():
    nodes = {"draft": Node("model"), "both": Node("merge"), "guard": Node("guard")}
    edges = [("draft.out", "both.a"), ("both.out", "guard.in")]
    steps, output = executed(
        nodes, edges, {"x": "draft.in", "y": "both.b"}, {"passed": "guard.out", "refused": "guard.error"}
    )

    assert output["passed"] == [1]
    [refused] = output["refused"]
    assert (refused["kind"], refused["message"]) == (
        "guard.refused",
        "it was made of what a model gave: draft",
    )
    assert steps["guard"].model == ("draft",)


def test_what_people_have_approved_passes_and_what_a_model_makes_of_it_does_not():
    nodes = {
        "draft": Node("model"), "ask": Node("people"), "first": Node("guard"), "again": Node("model"),
        "second": Node("guard", config={"condition": "!('again' in sources)"}),
    }  # fmt: skip
    edges = [
        ("draft.out", "ask.in"),
        ("ask.out", "first.in"),
        ("first.out", "again.in"),
        ("again.out", "second.in"),
    ]
    steps, output = executed(
        nodes, edges, {"x": "draft.in"}, {"first": "first.out", "second": "second.error"}
    )

    assert output["first"] == [1]
    assert [told["kind"] for told in output["second"]] == ["guard.refused"]
    assert (steps["first"].model, steps["first"].approved) == ((), ("draft",))
    assert (steps["again"].model, steps["again"].approved) == (("again",), ("draft",))


def test_it_goes_into_graphs_and_comes_out_of_them():
    inner = Graph(
        nodes={"word": Node("model"), "keep": Node("passthrough")},
        edges=(Edge("word.out", "keep.in"),),
        inputs={"item": GraphInput("word.in")},
        outputs={"result": GraphOutput("keep.out")},
    )
    nodes = {"each": Node("each.graph", config={"graph": msgspec.to_builtins(inner)}), "guard": Node("guard")}
    steps, output = executed(nodes, [("each.item", "guard.in")], {"list": "each.in"}, {"no": "guard.error"})

    assert len(output["no"]) == 2
    assert {name: step.model for name, step in steps.items()} == dict.fromkeys(
        ("each", "each/word", "each/keep", "guard"), ("each/word",)
    )


def test_a_value_is_given_as_it_is():
    """What is carried along shows nowhere in the values themselves: not in inputs, errors or the output."""
    nodes = {
        "draft": Node("model"),
        "pair": Node("merge.all"),
        "fail": Node("fail", config={"kind": "a.b", "message": "m"}),
    }
    edges = [("draft.out", "pair.a"), ("pair.out", "fail.in")]
    _, output = executed(nodes, edges, {"x": "draft.in", "y": "pair.b"}, {"error": "fail.error"})

    assert output["error"][0]["inputs"] == {"in": {"a": 1, "b": 1}}
