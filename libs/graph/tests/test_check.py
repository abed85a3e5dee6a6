"""Checking graphs: what passes has a plan, what does not has every fault with its pointer."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polis.graph import GraphFaults, check, check_component
from polis.proto.graph import Component, Edge, Example, Graph, GraphInput, GraphOutput, Most, Node, Port

TEXT = {"type": "string"}
ANY = Component(key="any", title="", inputs={"in": Port(required=False)}, outputs={"out": Port()})
PAIR = Component(
    key="pair", title="", merge="all", inputs={"a": Port(), "b": Port()}, outputs={"out": Port()}
)
SIZED = Component(
    key="sized",
    title="",
    inputs={"in": Port(schema=TEXT)},
    outputs={"out": Port(schema={"type": "integer"})},
    config={
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
        "additionalProperties": False,
    },
)
COMPONENTS = {c.key: c for c in (ANY, PAIR, SIZED)}


def faults_of(graph: Graph) -> dict[str, str]:
    with pytest.raises(GraphFaults) as caught:
        check(graph, COMPONENTS)
    return {fault.pointer: fault.detail for fault in caught.value.faults}


def test_a_plan_stands_in_topological_order_with_every_connection_resolved():
    graph = Graph(
        nodes={"last": Node("pair"), "first": Node("any"), "second": Node("any")},
        edges=(Edge("second.out", "last.b"), Edge("first.out", "second.in"), Edge("first.out", "last.a")),
        inputs={"text": GraphInput("first.in")},
        outputs={"result": GraphOutput("last.out")},
    )

    plan = check(graph, COMPONENTS)

    assert [n.name for n in plan.nodes] == ["first", "second", "last"]
    assert [(t.node, t.wire) for t in plan.nodes[0].outputs["out"]] == [(1, 0), (2, 1)]
    assert [(w.port, w.source) for w in plan.nodes[2].wires] == [("b", 1), ("a", 0)]
    assert plan.nodes[2].exits == {"out": ("result",)}
    assert plan.entries["text"].node == 0


def test_every_fault_is_listed_with_its_pointer():
    graph = Graph(
        nodes={
            "a": Node("nothing"),
            "b": Node("sized", config={"n": "x", "m": 1}),
            "c": Node("any", config={"z": 1}),
        },
        edges=(Edge("a.out", "b.in"), Edge("a.out", "b.in"), Edge("b.away", "c.in"), Edge("c.out", "d.in")),
        inputs={
            "i": GraphInput("c.inn", schema={"type": "strin"}),
            "j": GraphInput("c.in", schema=TEXT, default=5),
        },
        outputs={"o": GraphOutput("e.out"), "p": GraphOutput("c.wrong")},
    )

    assert set(faults_of(graph)) == {
        "/nodes/a/component", "/nodes/b/config/n", "/nodes/b/config/m", "/nodes/c/config/z",
        "/edges/1", "/edges/2/source", "/edges/3/target",
        "/inputs/i/target", "/inputs/i/schema/type", "/inputs/j/default",
        "/outputs/o/source", "/outputs/p/source",
    }  # fmt: skip


def test_a_required_input_without_a_source_is_a_fault():
    assert faults_of(Graph(nodes={"a": Node("pair")}, inputs={"x": GraphInput("a.b")})) == {
        "/nodes/a": "nothing arrives at its input `a`"
    }


def test_a_cycle_is_named_with_its_nodes_and_those_behind_it_are_not():
    graph = Graph(
        nodes={n: Node("any") for n in ("a", "b", "c", "after")},
        edges=(
            Edge("a.out", "b.in"),
            Edge("b.out", "c.in"),
            Edge("c.out", "a.in"),
            Edge("c.out", "after.in"),
        ),
    )

    assert faults_of(graph) == {"/edges/2": "it closes a cycle: a -> b -> c -> a"}


def test_a_node_that_feeds_itself_is_a_cycle():
    assert faults_of(Graph(nodes={"a": Node("any")}, edges=(Edge("a.out", "a.in"),))) == {
        "/edges/0": "it closes a cycle: a -> a"
    }


def test_ports_that_cannot_fit_are_a_fault_and_unknown_ones_are_checked_when_they_run():
    nodes = {"a": Node("sized", config={"n": 1}), "b": Node("sized", config={"n": 1}), "c": Node("any")}
    misfit = Graph(nodes=nodes, edges=(Edge("c.out", "a.in"), Edge("a.out", "b.in")))

    assert faults_of(misfit) == {
        "/edges/1": "`a.out` does not fit `b.in`: the value may be integer but must be string"
    }
    plan = check(Graph(nodes={n: nodes[n] for n in "ac"}, edges=(Edge("c.out", "a.in"),)), COMPONENTS)
    assert not plan.nodes[1].wires[0].proven
    proven = Graph(nodes={"a": nodes["a"]}, inputs={"i": GraphInput("a.in", schema=TEXT)})
    assert check(proven, COMPONENTS).nodes[0].wires[0].proven


def test_the_error_port_of_every_node_can_be_connected():
    graph = Graph(nodes={"a": Node("any"), "b": Node("any")}, edges=(Edge("a.error", "b.in"),))

    assert check(graph, COMPONENTS).nodes[0].outputs["error"][0].node == 1


def test_order_is_lost_where_branches_meet_and_found_again_behind_a_pairing_node():
    graph = Graph(
        nodes={"s": Node("any"), "l": Node("any"), "r": Node("any"), "m": Node("any"), "p": Node("pair")},
        edges=(
            Edge("s.out", "l.in"), Edge("s.out", "r.in"), Edge("l.out", "m.in"), Edge("r.out", "m.in"),
            Edge("m.out", "p.a"), Edge("l.out", "p.b"),
        ),
    )  # fmt: skip

    assert {n.name: n.ordered for n in check(graph, COMPONENTS).nodes} == {
        "s": True, "l": True, "r": True, "m": False, "p": True,
    }  # fmt: skip


def test_a_component_whose_declaration_contradicts_itself_is_refused():
    component = Component(
        key="x", title="", inputs={"in": Port(schema={"type": 3})}, outputs={"error": Port()}, merge="all",
        collects=True, config={"$ref": "https://example.org/schema"},
    )  # fmt: skip

    with pytest.raises(GraphFaults) as caught:
        check_component(component)

    assert {f.pointer for f in caught.value.faults} == {
        "/config/$ref",
        "/inputs/in/schema/type",
        "/outputs/error",
        "/merge",
    }


def test_what_a_component_says_of_itself_must_be_so():
    config = {"type": "object", "properties": {"max_rows": {"type": "integer", "maximum": 10}}}
    component = Component(
        key="x", title="", inputs={"in": Port(schema={"type": "string"})}, outputs={"out": Port()}, config=config,
        limits={
            "rows": Most(10, "rows", "max_rows"), "more": Most(11, "rows", "max_rows"),
            "none": Most(1, "rows", "nothing"), "own": Most(7, "bytes"),
        },
        examples=(
            Example("good", {"max_rows": 3}, ({"in": "a"},), {"out": (1, 2)}),
            Example("bad", {"max_rows": 11}, ({"in": 1}, {"no": 1}), {"gone": (1,)}),
        ),
    )  # fmt: skip

    with pytest.raises(GraphFaults) as caught:
        check_component(component)

    assert {f.pointer for f in caught.value.faults} == {
        "/limits/more", "/limits/none", "/examples/1/config/max_rows", "/examples/1/input/0/in",
        "/examples/1/input/1/no", "/examples/1/output/0/gone",
    }  # fmt: skip


def test_what_is_pure_has_no_effects():
    check_component(Component(key="x", title="", pure=False, effects=("http",)))

    with pytest.raises(GraphFaults, match="what is pure has none"):
        check_component(Component(key="x", title="", effects=("http",)))


def dags(min_nodes: int = 1) -> st.SearchStrategy[Graph]:
    """Random acyclic graphs: edges lead from smaller to larger numbers, names and listing are shuffled."""

    @st.composite
    def draw_graph(draw: st.DrawFn) -> Graph:
        size = draw(st.integers(min_nodes, 12))
        names = draw(st.permutations([f"n{i}" for i in range(size)]))
        pairs = [(i, j) for i in range(size) for j in range(i + 1, size)]
        chosen = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
        edges = tuple(Edge(f"{names[i]}.out", f"{names[j]}.in") for i, j in chosen)
        return Graph(nodes={name: Node("any") for name in sorted(names)}, edges=edges)

    return draw_graph()


@given(dags())
def test_every_acyclic_graph_has_a_plan_with_sources_before_targets(graph: Graph):
    plan = check(graph, COMPONENTS)

    assert sorted(n.name for n in plan.nodes) == sorted(graph.nodes)
    position = {n.name: i for i, n in enumerate(plan.nodes)}
    for edge in graph.edges:
        assert position[edge.source.partition(".")[0]] < position[edge.target.partition(".")[0]]
    for index, node in enumerate(plan.nodes):
        for target in node.outputs.get("out", ()):
            assert plan.nodes[target.node].wires[target.wire].source == index


@given(dags(min_nodes=2).filter(lambda g: bool(g.edges)), st.data())
def test_one_edge_back_gives_a_fault_that_names_a_true_cycle(graph: Graph, data: st.DataObject):
    forward = data.draw(st.sampled_from(graph.edges))
    back = Edge(forward.target.replace(".in", ".out"), forward.source.replace(".out", ".in"))
    cyclic = Graph(nodes=graph.nodes, edges=(*graph.edges, back))

    faults = faults_of(cyclic)

    named = [detail.removeprefix("it closes a cycle: ").split(" -> ") for detail in faults.values()]
    edges = {(e.source.partition(".")[0], e.target.partition(".")[0]) for e in cyclic.edges}
    assert all(cycle[0] == cycle[-1] and set(pairwise(cycle)) <= edges for cycle in named)
    ends = {forward.source.partition(".")[0], forward.target.partition(".")[0]}
    assert ends <= {name for cycle in named for name in cycle}
