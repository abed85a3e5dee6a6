"""Graphs in graphs: which one a node runs, and what that makes of the node: its ports, whether it is pure, what it may call."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from polis.graph.faults import GraphFaults, pointer
from polis.graph.fit import Misfit, fits
from polis.graph.shape import read_graph
from polis.proto.graph import Component, Graph, Port
from polis.proto.problems import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from polis.graph.plan import Plan
    from polis.proto.graph import Node

CONFIG = "graph"
"""The field of a node's configuration that holds its body: a graph, or the name of one."""
USE = "$use"
MAX_DEPTH = 8
"""Graphs inside of one another."""
TOO_DEEP = f"graphs stand in graphs to a depth of {MAX_DEPTH}"
MAX_NODES = 2_000
"""Nodes of a graph with all that it runs, as often as it stands in it: each is a step of the timeline."""

_ENVIRONMENT = re.compile(r"[a-z][a-z0-9-]{0,31}")
_NAME = re.compile(r"graph/([a-z][a-z0-9._-]{0,119})(?:@([1-9][0-9]{0,8}))?")
_NAMED_BY_BODY = {
    "once": frozenset[str](),
    "items": frozenset({"item", "index"}),
    "rounds": frozenset({"state", "round"}),
}
"""Inputs of a body that its node gives; the others are ports of the node."""


class GraphUse(Struct, frozen=True, order=True):
    """A graph of the catalog, as a node names it: `{"$use": "graph/key@3"}`, or the active one of an environment."""

    key: str
    number: int = 0
    environment: str = "production"

    def __str__(self) -> str:
        return f"{self.key}@{self.number or self.environment}"

    @staticmethod
    def parse(text: str) -> GraphUse:
        """The use that `str` wrote."""
        key, _, at = text.partition("@")
        return GraphUse(key, int(at)) if at.isdigit() else GraphUse(key, 0, at)


def graph_uses(graph: Graph) -> dict[GraphUse, str]:
    """The graphs of the catalog that a graph names, also in those that stand in it, and where it does so first."""
    found: dict[GraphUse, str] = {}
    for inner, at in _written(graph):
        for name, node in inner.nodes.items():
            for config, place in _configs(name, node):
                use = use_of(config)
                if use is not None:
                    found.setdefault(use, at + place + pointer(CONFIG))
    return found


def component_keys(graph: Graph) -> set[str]:
    """The components that a graph names, also in the graphs that stand in it."""
    nodes = [node for inner, _ in _written(graph) for node in inner.nodes.values()]
    undos = {node.compensate.component for node in nodes if node.compensate is not None}
    return {node.component for node in nodes} | undos


def use_of(config: Mapping[str, object]) -> GraphUse | None:
    """The graph of the catalog that a configuration names."""
    named = config.get(CONFIG)
    match = _NAME.fullmatch(str(named[USE])) if isinstance(named, dict) and USE in named else None
    if match is None or not isinstance(named, dict):
        return None
    if match[2]:
        return GraphUse(match[1], int(match[2]))
    environment = str(named.get("environment", "production"))
    return GraphUse(match[1], 0, environment) if _ENVIRONMENT.fullmatch(environment) else None


def inline_body(node: Node) -> dict[str, object] | None:
    """The graph that stands in a node's configuration."""
    written = node.config.get(CONFIG)
    return written if isinstance(written, dict) and USE not in written else None


def unordered(component: Component, node: Node) -> bool:
    """Whether the results of a node's items leave as they come."""
    return component.body == "items" and node.config.get("ordered") is False


def _written(graph: Graph, at: str = "", depth: int = 0) -> Iterator[tuple[Graph, str]]:
    yield graph, at
    for name, node in graph.nodes.items():
        for config, place in _configs(name, node):
            written = config.get(CONFIG)
            if (
                not isinstance(written, dict)
                or "nodes" not in written
                or USE in written
                or depth == MAX_DEPTH
            ):
                continue
            try:
                inner = read_graph(written)
            except GraphFaults:
                continue  # `check` says what is wrong with it
            yield from _written(inner, at + place + pointer(CONFIG), depth + 1)


def _configs(name: str, node: Node) -> Iterator[tuple[dict[str, object], str]]:
    """The configurations of a node that may hold a graph: its own, and that of what undoes it."""
    yield node.config, pointer("nodes", name, "config")
    if node.compensate is not None:
        yield node.compensate.config, pointer("nodes", name, "compensate", "config")


def joined(component: Component, node: Node, body: Plan) -> Component:
    """A component as its body makes it at this node. GraphFaults, relative to the body, when the two do not fit."""
    faults = [*_misfits(component, node, body)]
    if faults:
        raise GraphFaults(faults)
    given = _NAMED_BY_BODY[component.body or "once"]
    graph = body.graph
    own = {
        name: Port(entry.schema, entry.description, required=entry.required and entry.default is None)
        for name, entry in graph.inputs.items()
        if name not in given
    }
    inputs = {**component.inputs, **own}
    outputs = (
        {name: _port(body, name) for name in graph.outputs} if component.body == "once" else component.outputs
    )
    return msgspec.structs.replace(
        component,
        inputs=inputs,
        outputs=outputs,
        merge="all" if len(inputs) > 1 else "any",
        pure=component.pure and all(planned.component.pure for planned in body.nodes),
        scopes=tuple(
            sorted({*component.scopes, *(s for planned in body.nodes for s in planned.component.scopes)})
        ),
    )


def _misfits(component: Component, node: Node, body: Plan) -> Iterator[Fault]:
    graph = body.graph
    if node.retry is not None and unordered(component, node):
        yield Fault("", "what gives its results in no order is not tried again: they are gone by then")
    if "error" in graph.outputs and component.body == "once":
        yield Fault("/outputs/error", "every node has this port already")
    for name in component.inputs.keys() & graph.inputs.keys() if component.body != "once" else ():
        yield Fault(pointer("inputs", name), f"`{component.key}` has an input of this name itself")
    if component.body == "items" and "item" not in graph.inputs:
        yield Fault("/inputs", "a graph for each item has an input `item`")
    if component.body == "rounds":
        yield from _round_misfits(body)


def _round_misfits(body: Plan) -> Iterator[Fault]:
    graph = body.graph
    if "state" not in graph.inputs:
        yield Fault("/inputs", "a graph in rounds has an input `state`")
    if graph.outputs.keys() != {"state"} or graph.outputs["state"].many:
        yield Fault(
            "/outputs",
            "a graph in rounds has one output, `state`, that is not `many`: the state of the next round",
        )
    elif "state" in graph.inputs:
        try:
            fits(_port(body, "state").schema, graph.inputs["state"].schema)
        except Misfit as misfit:
            yield Fault("/outputs/state", f"it does not fit the input `state` of the next round: {misfit}")


def _port(body: Plan, output: str) -> Port:
    """An output of a graph as a port: what the port gives that feeds it."""
    node, _, name = body.graph.outputs[output].source.partition(".")
    component = next(planned.component for planned in body.nodes if planned.name == node)
    port = component.outputs.get(name)
    return Port() if port is None else Port(port.schema, port.description)


class Bodies:
    """The graphs that a graph runs, while they are planned. `named`: those of the catalog.

    open: how those are named that stand around the one at hand, the outermost first; one of them in it is a cycle.
    plans: what was planned already; a graph that many nodes name is planned once.
    """

    def __init__(self, named: Mapping[GraphUse, Graph], key: str) -> None:
        self.named = named
        self.key = key
        self.open: list[GraphUse | None] = []
        self.plans: dict[GraphUse, Plan | GraphFaults] = {}

    def graph_of(self, node: Node) -> tuple[Graph, GraphUse | None]:
        """What a node runs, and how that is named. GraphFaults, relative to its place in the configuration."""
        if len(self.open) == MAX_DEPTH:
            raise GraphFaults([Fault("", TOO_DEEP)])
        written = inline_body(node)
        if written is not None:
            return read_graph(written), None
        use = use_of(node.config)
        if use is None:
            raise GraphFaults([Fault(pointer(USE), "a graph is named `graph/key` or `graph/key@version`")])
        if use in self.open or (use.key == self.key and not use.number):
            way = [self.key, *(str(u) for u in self.open if u is not None), str(use)]
            raise GraphFaults([Fault(pointer(USE), f"a graph runs itself: {' -> '.join(filter(None, way))}")])
        if use not in self.named:
            raise GraphFaults([Fault(pointer(USE), f"there is no graph `{use}`")])
        return self.named[use], use


def inside(faults: GraphFaults, use: GraphUse | None) -> GraphFaults:
    """Faults of a body as faults of its place in the configuration: those of a named graph are not in this document."""
    if use is None:
        return faults
    return GraphFaults(
        Fault("", f"in `{use}`: {fault.pointer or '/'}: {fault.detail}") for fault in faults.faults
    )
