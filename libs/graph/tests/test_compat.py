"""What a run has done holds under another version where the way to it is the same."""

from __future__ import annotations

import pytest

from polis.graph import builtin, check, obstacles
from polis.proto.graph import Edge, Graph, GraphInput, GraphOutput, Node

COMPONENTS = builtin.components()


def plan(nodes, edges, inputs=None):
    graph = Graph(
        nodes=nodes,
        edges=tuple(Edge(source, target) for source, target in edges),
        inputs=inputs or {"x": GraphInput("a.in")},
        outputs={"y": GraphOutput("c.out")},
    )
    return check(graph, COMPONENTS)


NODES = {"a": Node("map", config={"expression": "item"}), "b": Node("log"), "c": Node("passthrough")}
EDGES = (("a.out", "b.in"), ("b.out", "c.in"))


@pytest.mark.parametrize(
    ("nodes", "edges", "inputs", "pointers"),
    [
        (NODES, EDGES, None, []),
        (NODES | {"c": Node("passthrough", title="Other")}, EDGES, None, []),
        (NODES | {"b": Node("log", config={"message": "other"})}, EDGES, None, []),
        (NODES | {"d": Node("passthrough")}, (*EDGES, ("b.out", "d.in"), ("a.out", "d.in")), None, []),
        (NODES | {"a": Node("map", config={"expression": "1"})}, EDGES, None, ["/nodes/a/config"]),
        (NODES | {"b": Node("passthrough")}, EDGES, None, ["/nodes/b/component"]),
        ({k: NODES[k] for k in "ac"}, (("a.out", "c.in"),), None, ["/nodes/b"]),
        (
            NODES | {"d": Node("passthrough")},
            (("a.out", "d.in"), ("d.out", "b.in"), ("b.out", "c.in")),
            None,
            ["/nodes/b"],
        ),
        (NODES, EDGES, {"z": GraphInput("a.in")}, ["/nodes/a"]),
        (NODES, EDGES, {"x": GraphInput("a.in", default=1)}, ["/inputs/x/default"]),
    ],
)
def test_only_what_leads_to_an_outcome_must_be_the_same(nodes, edges, inputs, pointers):
    found = obstacles(plan(NODES, EDGES), plan(nodes, edges, inputs), ["b"])

    assert [fault.pointer for fault in found] == pointers


def test_where_nothing_is_done_everything_may_differ():
    other = plan({"c": Node("passthrough")}, (), {"x": GraphInput("c.in")})

    assert obstacles(plan(NODES, EDGES), other, []) == []


def nested(message, expression, *, behind=()):
    """`a` runs a graph of a pure step and an effect; behind: what stands behind it."""
    inner = {
        "nodes": {
            "p": {"component": "map", "config": {"expression": expression}},
            "e": {"component": "log", "config": {"message": message}},
        },
        "edges": [{"source": "p.out", "target": "e.in"}],
        "inputs": {"x": {"target": "p.in"}},
        "outputs": {"y": {"source": "e.out"}},
    }
    graph = Graph(
        nodes={"a": Node("graph", config={"graph": inner}), **{name: Node("log") for name in behind}},
        edges=tuple(Edge("a.y", f"{name}.in") for name in behind),
        inputs={"x": GraphInput("a.x")},
    )
    return check(graph, COMPONENTS)


@pytest.mark.parametrize(
    ("new", "done", "pointers"),
    [
        (("other", "item"), ["a/e"], []),
        (("said", "1"), ["a/e"], ["/nodes/a/config/graph/nodes/p/config"]),
        (("said", "1"), [], []),
        (("other", "item"), ["a/e", "b"], ["/nodes/a/config/graph"]),
    ],
)
def test_graphs_in_graphs_are_held_to_the_same(new, done, pointers):
    found = obstacles(nested("said", "item", behind=("b",)), nested(*new, behind=("b",)), done)

    assert [fault.pointer for fault in found] == pointers
