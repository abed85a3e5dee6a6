"""A million items of a graph in a graph, and ten thousand rounds of effects: they end, and memory does not grow with them."""

from __future__ import annotations

import time
import tracemalloc
from random import Random

import pytest

from polis.proto.graph import Component, Edge, Graph, GraphInput, GraphOutput, Node, Port
from polis.runtime.component import Implementation, Inputs, Step, implementations
from polis.runtime.engine.machine import Machine
from polis.runtime.engine.program import compile_program
from polis.runtime.engine.requests import Record

IN, OUT = {"in": Port()}, {"out": Port()}
MB = 1024 * 1024
BOUND = 16 * MB
"""Beyond the list of the items itself."""
_LIST_ITEM = 64


def numbers(step: Step, inputs: Inputs) -> None:
    step.emit("out", list(range(inputs["in"])))


def add(step: Step, inputs: Inputs) -> None:
    step.emit("out", inputs["in"] + 1)


def see(_: Step, inputs: Inputs) -> None:
    SEEN["total"] += inputs["in"]


SEEN = {"total": 0}
KINDS = dict(implementations()) | {
    kind.component.key: kind
    for kind in (
        Implementation(Component("numbers", "", inputs=IN, outputs=OUT), inline=numbers),
        Implementation(Component("add", "", inputs=IN, outputs=OUT), inline=add),
        Implementation(Component("act", "", inputs=IN, outputs=OUT, pure=False), inline=add),
        Implementation(Component("see", "", inputs=IN), inline=see),
    )
}


def body(key: str, entry: str, exit_: str) -> dict[str, object]:
    return {
        "nodes": {"do": {"component": key}},
        "inputs": {entry: {"target": "do.in"}},
        "outputs": {exit_: {"source": "do.out"}},
    }


def executed(graph: Graph, x: int) -> tuple[bytes, int]:
    """The output of a run whose outcomes are durable at once, and the most memory that it took."""
    program = compile_program(graph, {key: kind.component for key, kind in KINDS.items()}, KINDS.get)
    tracemalloc.start()
    machine = Machine("run", program, None, clock=time.monotonic, random=Random(1))
    machine.start({"x": x})
    while machine.state == "running":
        machine.turn(0.003)
        requests, machine.requests = machine.requests, []
        for request in requests:
            if isinstance(request, Record):
                machine.recorded(request.activation)
            else:
                assert request.error is None, request.error
                output = request.output
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return output, most


@pytest.mark.parametrize("ordered", [True, False])
def test_an_each_over_very_many_items_holds_a_few_of_them(full, ordered):
    count = 1_000_000 if full else 20_000
    graph = Graph(
        nodes={
            "numbers": Node("numbers"),
            "each": Node("each.graph", config={"graph": body("add", "item", "result"), "ordered": ordered}),
            "see": Node("see"),
        },
        edges=(Edge("numbers.out", "each.in"), Edge("each.item", "see.in")),
        inputs={"x": GraphInput("numbers.in")},
    )
    SEEN["total"] = 0

    _, most = executed(graph, count)

    assert SEEN["total"] == count * (count + 1) // 2
    assert most < BOUND + count * _LIST_ITEM


def test_a_run_of_very_many_steps_holds_one_of_them(full):
    rounds = 10_000 if full else 500
    graph = Graph(
        nodes={"loop": Node("loop", config={"graph": body("act", "state", "state"), "times": rounds})},
        inputs={"x": GraphInput("loop.in")},
        outputs={"y": GraphOutput("loop.out")},
    )

    output, most = executed(graph, 0)

    assert output == b'{"y":%d}' % rounds
    assert most < BOUND // 8
