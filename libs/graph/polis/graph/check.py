"""Whether a graph can run: every fault at once, or the plan. Whether a component's declaration holds together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from polis.graph import undo
from polis.graph.bodies import (
    CONFIG,
    MAX_DEPTH,
    MAX_NODES,
    TOO_DEEP,
    Bodies,
    GraphUse,
    inside,
    joined,
    unordered,
)
from polis.graph.configs import config_faults
from polis.graph.declared import example_faults, limit_faults
from polis.graph.execution import execution_faults
from polis.graph.faults import GraphFaults, pointer
from polis.graph.fit import Misfit, fits
from polis.graph.formats import declared_faults
from polis.graph.kahn import cycles, order
from polis.graph.plan import Plan, node_of, plan
from polis.graph.schema import compiled, schema_faults
from polis.graph.triggers import trigger_faults
from polis.proto.graph import ERROR_PORT, Component, Edge, Graph, Merge, Node, Port
from polis.proto.problems import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ERROR = Port(
    schema={
        "type": "object",
        "properties": {
            "step": {"type": "string"},
            "kind": {"type": "string"},
            "message": {"type": "string"},
            "inputs": {"type": "object"},
            "attempts": {"type": "integer"},
        },
        "required": ["step", "kind", "message", "inputs", "attempts"],
    },
    description="What failed: the step, the kind and text of the error, the inputs it failed on, and after how many attempts.",
)
"""The port that every node has besides those of its component."""


def check(
    graph: Graph,
    components: Mapping[str, Component],
    graphs: Mapping[GraphUse, Graph] | None = None,
    *,
    key: str = "",
) -> Plan:
    """The plan of a graph whose nodes are these components. GraphFaults lists everything that keeps it from running.

    graphs: those of the catalog that it names, and those that they name. key: its own, so that none of them runs it.
    """
    found = _checked(graph, components, Bodies(graphs or {}, key))
    if found.size > MAX_NODES:
        detail = f"{found.size:,} nodes with those of the graphs in it; {MAX_NODES:,} are the most"
        raise GraphFaults([Fault("/nodes", detail)])
    if found.depth > MAX_DEPTH:
        raise GraphFaults([Fault("/nodes", TOO_DEEP)])
    return found


def _checked(graph: Graph, components: Mapping[str, Component], bodies: Bodies) -> Plan:
    draft = _Draft(graph, components, bodies)
    faults = [*draft.node_faults(), *draft.edge_faults(), *draft.input_faults(), *draft.output_faults()]
    faults += [*draft.missing_inputs(), *draft.cycle_faults(), *trigger_faults(graph)]
    if faults:
        raise GraphFaults(faults)
    return draft.plan()


def check_component(component: Component) -> None:
    """GraphFaults when a declaration contradicts itself or holds a schema that Polis does not take."""
    faults = [*schema_faults(component.config, "config")] or [*declared_faults(component.config, "config")]
    for side, ports in (("inputs", component.inputs), ("outputs", component.outputs)):
        for name, port in ports.items():
            faults += schema_faults(port.schema, side, name, "schema")
    if ERROR_PORT in component.outputs:
        faults.append(Fault(pointer("outputs", ERROR_PORT), "every node has this port already"))
    if component.collects and component.merge != "any":
        faults.append(Fault("/merge", "a component that collects takes each message by itself (`any`)"))
    if component.pure and component.effects:
        faults.append(Fault("/effects", "what is pure has none"))
    faults += execution_faults(component)
    if not faults:
        faults = [*limit_faults(component), *example_faults(component)]
    if faults:
        raise GraphFaults(faults)


class _Draft:
    """A graph on its way to a plan: what is known of it while its faults are gathered."""

    def __init__(self, graph: Graph, components: Mapping[str, Component], bodies: Bodies) -> None:
        self.graph = graph
        self.components = components
        self.kinds: dict[str, Component | None] = {
            name: components.get(node.component) for name, node in graph.nodes.items()
        }
        """What each node is; a node that runs a graph has the ports of that. None for one of which it is not known."""
        self.bodies: dict[str, Plan] = {}
        self.more_faults: list[Fault] = []
        self.edges: list[tuple[Edge, bool]] = []
        """Edges whose ends exist, and whether their schemas are proven to fit."""
        self.entries: dict[str, bool] = {}
        """Graph inputs whose target exists, and whether their schemas are proven to fit."""
        for name, component in self.kinds.items():
            if component is not None and component.body is not None:
                self._join(name, component, bodies)
        for name, component in self.kinds.items():
            merge = graph.nodes[name].merge
            if component is not None and merge is not None:
                self.kinds[name] = msgspec.structs.replace(component, merge=merge)
                self.more_faults += _merge_faults(component, merge, name)
        self.undos: dict[str, Plan] = {}
        for name in graph.nodes:
            self._add_undo(name, bodies)

    def component(self, node: str) -> Component | None:
        return self.kinds[node]

    def node_faults(self) -> Iterator[Fault]:
        for name, node in self.graph.nodes.items():
            component = self.components.get(node.component)
            if component is None:
                yield Fault(pointer("nodes", name, "component"), f"there is no component `{node.component}`")
            else:
                yield from _config_faults(component, node.config, name)
        yield from self.more_faults

    def _add_undo(self, name: str, bodies: Bodies) -> None:
        """What undoes a node is checked as a graph of its own."""
        node, kind = self.graph.nodes[name], self.kinds[name]
        if node.compensate is None or kind is None:
            return
        try:
            undone = undo.graph_of(node.compensate, kind, self.components)
            self.undos[name] = _checked(undone, self.components, bodies)
        except GraphFaults as error:
            self.more_faults += undo.at(name, error.faults)

    def _join(self, name: str, component: Component, bodies: Bodies) -> None:
        """Make of a node what the graph makes of it that it runs."""
        node = self.graph.nodes[name]
        try:
            self.bodies[name] = body = _body(node, self.components, bodies)
            self.kinds[name] = joined(component, node, body)
        except GraphFaults as error:
            self.kinds[name] = None
            at = pointer("nodes", name, "config", CONFIG)
            self.more_faults += [Fault(at + fault.pointer, fault.detail) for fault in error.faults]

    def edge_faults(self) -> Iterator[Fault]:
        seen: set[Edge] = set()
        for index, edge in enumerate(self.graph.edges):
            if edge in seen:
                yield Fault(pointer("edges", index), "the same edge stands here twice")
                continue
            seen.add(edge)
            faults = [
                *self._port_faults(edge.source, "outputs", pointer("edges", index, "source")),
                *self._port_faults(edge.target, "inputs", pointer("edges", index, "target")),
            ]
            yield from faults or self._edge_misfit(index, edge)

    def input_faults(self) -> Iterator[Fault]:
        for name, entry in self.graph.inputs.items():
            faults = [
                *self._port_faults(entry.target, "inputs", pointer("inputs", name, "target")),
                *schema_faults(entry.schema, "inputs", name, "schema"),
            ]
            if not faults and entry.default is not None:
                faults += compiled(entry.schema).faults(entry.default, "inputs", name, "default")
            yield from faults or self._input_misfit(name)

    def output_faults(self) -> Iterator[Fault]:
        for name, output in self.graph.outputs.items():
            yield from self._port_faults(output.source, "outputs", pointer("outputs", name, "source"))

    def missing_inputs(self) -> Iterator[Fault]:
        arriving = {edge.target for edge, _ in self.edges} | {
            self.graph.inputs[n].target for n in self.entries
        }
        for name in self.graph.nodes:
            component = self.component(name)
            for port, declared in component.inputs.items() if component else ():
                if declared.required and f"{name}.{port}" not in arriving:
                    yield Fault(pointer("nodes", name), f"nothing arrives at its input `{port}`")

    def cycle_faults(self) -> Iterator[Fault]:
        for cycle in cycles(self._successors()):
            closing = next(
                i
                for i, e in enumerate(self.graph.edges)
                if (node_of(e.source), node_of(e.target)) == (cycle[-1], cycle[0])
            )
            yield Fault(pointer("edges", closing), f"it closes a cycle: {' -> '.join([*cycle, cycle[0]])}")

    def plan(self) -> Plan:
        """How the nodes connect, once no fault was found."""
        names = order(self._successors())
        kinds = {name: kind for name, kind in self.kinds.items() if kind is not None}
        edges = dict(self.edges)
        inner = {"bodies": self.bodies, "undos": self.undos}
        return plan(self.graph, kinds, names, edges=edges, entries=self.entries, **inner)

    def _port_faults(self, reference: str, side: str, at: str) -> Iterator[Fault]:
        node, _, port = reference.partition(".")
        if node not in self.graph.nodes:
            yield Fault(at, f"there is no node `{node}`")
            return
        component = self.component(node)
        if component is None:
            return
        if side == "outputs" and port == ERROR_PORT:
            if unordered(component, self.graph.nodes[node]):
                yield Fault(
                    at, "what it gives in no order is gone before it fails: take what fails from `failed`"
                )
            return
        ports = component.outputs if side == "outputs" else component.inputs
        if port not in ports:
            known = ", ".join(f"`{name}`" for name in ports) or "none"
            yield Fault(at, f"`{component.key}` has no {side[:-1]} `{port}` (it has: {known})")

    def _edge_misfit(self, index: int, edge: Edge) -> Iterator[Fault]:
        source, target = self._schema(edge.source, "outputs"), self._schema(edge.target, "inputs")
        try:
            self.edges.append((edge, fits(source, target) == "proven"))
        except Misfit as misfit:
            self.edges.append((edge, False))
            yield Fault(pointer("edges", index), f"`{edge.source}` does not fit `{edge.target}`: {misfit}")

    def _input_misfit(self, name: str) -> Iterator[Fault]:
        entry = self.graph.inputs[name]
        try:
            self.entries[name] = fits(entry.schema, self._schema(entry.target, "inputs")) == "proven"
        except Misfit as misfit:
            self.entries[name] = False
            yield Fault(pointer("inputs", name, "schema"), f"it does not fit `{entry.target}`: {misfit}")

    def _schema(self, reference: str, side: str) -> dict[str, object]:
        """A port's schema; one that accepts everything when the component is unknown."""
        node, _, port = reference.partition(".")
        component = self.component(node)
        if component is None:
            return {}
        if side == "outputs":
            return (ERROR if port == ERROR_PORT else component.outputs[port]).schema
        return component.inputs[port].schema

    def _successors(self) -> dict[str, list[str]]:
        successors: dict[str, dict[str, None]] = {name: {} for name in self.graph.nodes}
        for edge, _ in self.edges:
            successors[node_of(edge.source)][node_of(edge.target)] = None
        return {name: list(targets) for name, targets in successors.items()}


def _body(node: Node, components: Mapping[str, Component], bodies: Bodies) -> Plan:
    """The plan of the graph that a node runs. GraphFaults, relative to its place in the configuration."""
    if not isinstance(node.config.get(CONFIG), dict):
        raise GraphFaults([Fault("", 'a graph, or the name of one: `{"$use": "graph/key"}`')])
    graph, use = bodies.graph_of(node)
    known = bodies.plans.get(use) if use is not None else None
    if known is None:
        bodies.open.append(use)
        try:
            known = _checked(graph, components, bodies)
        except GraphFaults as error:
            known = inside(error, use)
        finally:
            bodies.open.pop()
        if use is not None:
            bodies.plans[use] = known
    if isinstance(known, GraphFaults):
        raise known
    return known


def _merge_faults(component: Component, merge: Merge, node: str) -> Iterator[Fault]:
    """What takes one message of each input takes them whichever way they come together."""
    own = () if component.merge == "any" else ("all", "zip", "latest")
    if merge not in {component.merge, *own, *component.merges}:
        may = ", ".join(f"`{policy}`" for policy in dict.fromkeys((component.merge, *own, *component.merges)))
        yield Fault(pointer("nodes", node, "merge"), f"`{component.key}` takes its inputs by {may}")


def _config_faults(component: Component, config: dict[str, object], node: str) -> tuple[Fault, ...]:
    try:
        return config_faults(component, config, "nodes", node, "config")
    except GraphFaults as error:
        detail = f"the component's own configuration schema is not valid: {error}"
        return (Fault(pointer("nodes", node, "component"), detail),)
