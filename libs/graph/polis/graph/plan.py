"""What a checked graph is: its nodes in topological order, with every connection resolved to positions.

Positions of nodes and of wires are the same for every run of a graph version: items are named after them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from polis.graph.bodies import unordered
from polis.proto.graph import Component, Edge, Graph, Node


class Wire(Struct, frozen=True):
    """One way into a node. `source` is the position of the node it comes from; None for the graph input `name`.

    proven: whether the schemas alone show that everything fits; otherwise values are checked when they arrive.
    """

    port: str
    source: int | None
    name: str
    proven: bool


class Target(Struct, frozen=True):
    """Where a message goes: the position of the node and of the wire among the node's own."""

    node: int
    wire: int


class PlannedNode(Struct, frozen=True):
    """A node in its place. `outputs` lists, for each port that leads somewhere, all the targets.

    wires: graph inputs by name first, then edges as the graph lists them.
    exits: for each port, the graph outputs that it feeds.
    ordered: whether what it emits has the same order each time: not where branches meet as they come.
    body: the graph that it runs. Its component is then the one that this graph makes of it. undo: what undoes it, as a graph of
    one node, `@undo`, whose input is `of`.
    """

    name: str
    node: Node
    component: Component
    wires: tuple[Wire, ...]
    outputs: Mapping[str, tuple[Target, ...]]
    exits: Mapping[str, tuple[str, ...]]
    ordered: bool
    body: Plan | None = None
    undo: Plan | None = None


class Plan(Struct, frozen=True):
    """A graph that can run. `nodes` is in topological order (Kahn; ties by the graph's own order).

    entries: where each graph input goes. depth: graphs inside of one another in it. size: nodes in it and in all that it runs.
    """

    graph: Graph
    nodes: tuple[PlannedNode, ...]
    entries: Mapping[str, Target]

    depth: int = 0
    size: int = 0


def plan(
    graph: Graph,
    components: Mapping[str, Component],
    names: Sequence[str],
    *,
    edges: Mapping[Edge, bool],
    entries: Mapping[str, bool],
    bodies: Mapping[str, Plan],
    undos: Mapping[str, Plan],
) -> Plan:
    """The plan of a graph without faults. names: its nodes in topological order; edges, entries: whether proven.

    components, bodies, undos: what each node is, the graph that it runs, and the one that undoes it.
    """
    position = {name: index for index, name in enumerate(names)}
    wires: dict[str, list[Wire]] = {name: [] for name in names}
    outputs: dict[str, dict[str, list[Target]]] = {name: {} for name in names}
    targets: dict[str, Target] = {}
    for name in sorted(graph.inputs):
        target, port = split(graph.inputs[name].target)
        targets[name] = Target(position[target], len(wires[target]))
        wires[target].append(Wire(port, None, name, entries[name]))
    for edge in graph.edges:
        (source, out), (target, port) = split(edge.source), split(edge.target)
        outputs[source].setdefault(out, []).append(Target(position[target], len(wires[target])))
        wires[target].append(Wire(port, position[source], "", edges[edge]))
    exits = _exits(graph)
    nodes: list[PlannedNode] = []
    for name in names:
        node, component = graph.nodes[name], components[name]
        nodes.append(
            PlannedNode(
                name=name,
                node=node,
                component=component,
                wires=tuple(wires[name]),
                outputs={port: tuple(ends) for port, ends in outputs[name].items()},
                exits=exits[name],
                ordered=_ordered(node, component, wires[name], nodes),
                body=bodies.get(name),
                undo=undos.get(name),
            )
        )
    inner = (*bodies.values(), *undos.values())
    depth = max((1 + body.depth for body in inner), default=0)
    size = len(nodes) + sum(body.size for body in inner)
    return Plan(graph, tuple(nodes), targets, depth, size)


def _exits(graph: Graph) -> dict[str, dict[str, tuple[str, ...]]]:
    exits: dict[str, dict[str, tuple[str, ...]]] = {name: {} for name in graph.nodes}
    for key, output in graph.outputs.items():
        node, port = split(output.source)
        exits[node][port] = (*exits[node].get(port, ()), key)
    return exits


def _ordered(node: Node, component: Component, wires: Sequence[Wire], before: Sequence[PlannedNode]) -> bool:
    """A collector or a pairing node sorts what comes in at random, so what leaves it has an order again."""
    if unordered(component, node):
        return False
    if component.collects or component.merge != "any":
        return True
    sources = [wire.source for wire in wires if wire.source is not None]
    return not sources or (len(sources) == 1 and before[sources[0]].ordered)


def split(reference: str) -> tuple[str, str]:
    """Node and port of `node.port`."""
    node, _, port = reference.partition(".")
    return node, port


def node_of(reference: str) -> str:
    return reference.partition(".")[0]
