"""The straight way gives what the engine gives, or leaves the run to it."""

from __future__ import annotations

import random
import time
from types import SimpleNamespace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polis.proto.graph import Component, Edge, Graph, GraphInput, GraphOutput, Node, Port
from polis.runtime.component import Implementation, StepFailed
from polis.runtime.engine.machine import Machine
from polis.runtime.engine.program import compile_program
from polis.runtime.engine.requests import Ended
from polis.runtime.engine.straight import straight

NUMBER = {"type": "integer"}


def twice(step, inputs):
    """A message for each that is even, two for each that is odd."""
    step.emit("out", inputs["in"] + 1)
    if inputs["in"] % 2:
        step.emit("rest", inputs["in"])
        step.emit("out", inputs["in"] * 2)


def pair(step, inputs):
    step.emit("out", sum(inputs.values()))


def once(step, _):
    for n in range(3):
        step.emit("out", n)


def picky(step, inputs):
    if inputs["in"] % 5 == 4:
        raise StepFailed("picky", "not this one")
    step.emit("out", inputs["in"])


def keyed(step, inputs):
    step.emit("out", [inputs["in"], step.key.partition("/")[2]])


def astray(step, inputs):
    step.emit("elsewhere", inputs["in"])


def made(key, function, *, inputs=("in",), outputs=("out",), schema=None, **fields):
    ports = {name: Port(schema or {}, required=False) for name in inputs}
    return Implementation(
        Component(key, key, inputs=ports, outputs={name: Port() for name in outputs}, **fields),
        inline=function,
    )


KINDS = {
    i.component.key: i
    for i in (
        made("twice", twice, outputs=("out", "rest")),
        made("pair", pair, inputs=("a", "b"), merge="all"),
        made("once", once, inputs=()),
        made("picky", picky),
        made("keyed", keyed),
        made("astray", astray),
        made("number", twice, outputs=("out", "rest"), schema=NUMBER),
    )
}


def program_of(graph):
    return compile_program(graph, {k: i.component for k, i in KINDS.items()}, KINDS.get)


def by_the_engine(program, inputs):
    machine = Machine("run", program, SimpleNamespace(), clock=time.monotonic, random=random)
    machine.start(inputs)
    while machine.turn(1.0):
        pass
    machine.changes()
    ended = next(r for r in machine.requests if isinstance(r, Ended))
    return ended, [told(step) for step in machine.steps()]


def told(step):
    return msgspec.structs.replace(step, started_ms=None, ended_ms=None), step.started_ms is None


@st.composite
def graphs(draw):
    """Graphs whose ports have a source each: what takes the straight way."""
    nodes, edges, inputs, outs = {}, [], {}, []
    for n in range(draw(st.integers(1, 7))):
        kind = draw(st.sampled_from(["twice", "pair", "once", "picky", "number"]))
        nodes[f"n{n}"] = Node(kind)
        for port in KINDS[kind].component.inputs:
            if outs and draw(st.booleans()):
                edges.append(Edge(draw(st.sampled_from(outs)), f"n{n}.{port}"))
            else:
                inputs[f"i{len(inputs)}"] = GraphInput(f"n{n}.{port}", required=False)
        outs += [f"n{n}.{port}" for port in KINDS[kind].component.outputs]
    outputs = {f"o{i}": GraphOutput(o, many=draw(st.booleans())) for i, o in enumerate(outs)}
    given_ = {name: draw(st.integers(0, 20)) for name in inputs if draw(st.booleans())}
    return Graph(nodes=nodes, edges=tuple(edges), inputs=inputs, outputs=outputs), given_


@settings(max_examples=300)
@given(graphs())
def test_it_gives_what_the_engine_gives_and_never_more(drawn):
    graph, inputs = drawn
    program = program_of(graph)
    ended, steps = by_the_engine(program, inputs)

    done = straight(program).run(inputs)

    if ended.state == "succeeded" and done is not None:
        assert (done.output, [told(step) for step in done.steps]) == (ended.output, steps)
    else:
        assert done is None


def test_it_is_taken():
    done = straight(program_of(one("twice"))).run({"x": 3})

    assert done.output == b'{"y":6}'
    assert [(s.state, s.received, s.emitted, s.attempts) for s in done.steps] == [("succeeded", 1, 3, 1)]


def one(kind, **fields):
    return Graph(
        nodes={"n": Node(kind, **fields)},
        inputs={"x": GraphInput("n.in")},
        outputs={"y": GraphOutput("n.out")},
    )


@pytest.mark.parametrize(
    ("kind", "value"),
    [("picky", 4), ("keyed", 1), ("astray", 1), ("number", "text"), ("twice", None)],
    ids=["an error", "a key", "a port that is none", "a value that does not fit", "a crash"],
)
def test_what_is_out_of_the_ordinary_is_left_to_the_engine(kind, value):
    assert straight(program_of(one(kind))).run({"x": value}) is None


def test_ports_with_several_sources_are_left_to_the_engine():
    graph = Graph(
        nodes={"a": Node("once"), "b": Node("once"), "c": Node("twice")},
        edges=(Edge("a.out", "c.in"), Edge("b.out", "c.in")),
    )

    assert straight(program_of(graph)) is None


def test_a_run_that_takes_too_long_is_left_to_the_engine(monkeypatch):
    monkeypatch.setattr("polis.runtime.engine.straight.STRAIGHT_S", -1.0)

    assert straight(program_of(one("twice"))).run({"x": 1}) is None
