"""A checked graph joined with what runs each node: compiled once per version, shared by all its runs, never changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from polis.graph import GraphFaults, Plan, PlannedNode, Schema, check, compiled, pointer
from polis.proto.graph import Component, Graph
from polis.proto.problems import Fault
from polis.runtime.component import Implementation
from polis.runtime.engine.outside import MAX_OPEN, opener

if TYPE_CHECKING:
    from collections.abc import Iterator

Lookup = Callable[[str], Implementation | None]


class Stage:
    """A node of a program: what `polis.graph` planned, in the form that is quickest to run."""

    __slots__ = (
        "bit",
        "checks",
        "collector",
        "component",
        "concurrency",
        "config",
        "eager",
        "exits",
        "index",
        "inline",
        "last_effect",
        "mark",
        "marks",
        "name",
        "open",
        "pairs",
        "path",
        "plain",
        "port_sources",
        "ports",
        "pure",
        "retry",
        "routes",
        "scopes",
        "sorted_ports",
        "sorts",
        "sources",
        "targets",
        "task",
        "timeout_s",
        "title",
        "waits",
    )

    def __init__(self, index: int, planned: PlannedNode, implementation: Implementation, plan: Plan) -> None:
        node, component = planned.node, planned.component
        self.index = index
        self.bit = 1 << index
        self.mark = self.bit
        self.name = planned.name
        self.path = planned.name
        self.title = node.title or component.title
        self.component = component
        self.config: Mapping[str, object] = node.config
        self.inline, self.task = implementation.inline, implementation.task
        self.waits = implementation.waiting is not None
        """Whether outcomes come from outside; an attempt only says what is waited for."""
        if implementation.waiting is not None:
            self.inline, self.task = opener(implementation.waiting)
        self.collector = implementation.collector
        self.pure = component.pure
        self.plain = component.pure and self.inline is not None
        """A pure function: the kind of node that the engine runs with the least ado."""
        self.last_effect = True
        """Whether nothing behind it has an effect: what follows from its outcome shows with the run's next record."""
        # What may be called is for the implementation to say: the catalog's component may be another org's.
        self.scopes = implementation.component.scopes
        # A pure step that may call nobody awaits nothing but its own step: it is started without a task.
        self.eager = component.pure and not self.scopes
        # Who waits is not at work: a bound of steps at work is none of waits, but for one that wants them in turn.
        self.concurrency = MAX_OPEN if self.waits and node.concurrency > 1 else node.concurrency
        self.retry = node.retry
        self.timeout_s = node.timeout_s
        self.ports = tuple(wire.port for wire in planned.wires)
        """The input port that each wire ends at."""
        self.port_sources = {
            port: tuple(w.source for w in planned.wires if w.port == port and w.source is not None)
            for port in self.ports
        }
        self.checks = tuple(_check(component, wire.port, proven=wire.proven) for wire in planned.wires)
        self.pairs = component.merge == "all" and bool(planned.wires)
        # Where several wires meet, items of different wires may have the same lineage: the wire tells them apart.
        self.marks = len(planned.wires) > 1 and not self.pairs
        self.routes = {
            port: tuple((target.node, target.wire) for target in ends)
            for port, ends in planned.outputs.items()
        }
        self.exits = planned.exits
        self.sources = tuple(dict.fromkeys(w.source for w in planned.wires if w.source is not None))
        self.open = len(self.sources)
        self.targets = tuple(dict.fromkeys(target for ends in self.routes.values() for target, _ in ends))
        self.sorted_ports = _sorted_ports(planned, plan) if self.pairs or self.collector else frozenset()
        """Input ports whose messages come in no certain order, so they are put into one when all are there."""
        self.sorts = self.collector is not None and bool(self.sorted_ports)


class Program:
    """What a run executes."""

    __slots__ = ("graph", "ordered_exits", "plan", "quick", "roots", "scopes", "stages", "waits")

    def __init__(self, plan: Plan, implementations: Mapping[str, Implementation]) -> None:
        self.plan = plan
        self.graph = plan.graph
        self.stages = tuple(
            Stage(index, node, implementations[node.component.key], plan)
            for index, node in enumerate(plan.nodes)
        )
        for stage in reversed(self.stages):
            behind = [self.stages[index] for index in stage.targets]
            stage.last_effect = all(other.pure and other.last_effect for other in behind)
        self.roots = sum(stage.bit for stage in self.stages if not stage.sources)
        """The bits of the nodes that have something to do when a run begins."""
        self.ordered_exits = frozenset(
            name for node in plan.nodes if node.ordered for names in node.exits.values() for name in names
        )
        self.scopes = tuple(sorted({scope for stage in self.stages for scope in stage.scopes}))
        """What the run's token must allow: the sum of what its components declare."""
        self.quick = all(stage.pure and (stage.inline or stage.eager) for stage in self.stages)
        """Whether nothing in it has an effect or waits for others."""
        self.waits = any(stage.waits for stage in self.stages)
        """Whether it may wait for what comes from outside."""


def compile_program(graph: Graph, components: Mapping[str, Component], lookup: Lookup) -> Program:
    """The program of a graph. GraphFaults lists all that is wrong, also what only an implementation can tell."""
    plan = check(graph, components)
    implementations = {key: found for key in components if (found := lookup(key)) is not None}
    faults = list(_implementation_faults(plan, implementations))
    if faults:
        raise GraphFaults(faults)
    return Program(plan, implementations)


def _implementation_faults(plan: Plan, implementations: Mapping[str, Implementation]) -> Iterator[Fault]:
    for planned in plan.nodes:
        key = planned.component.key
        implementation = implementations.get(key)
        if implementation is None or _signature(implementation.component) != _signature(planned.component):
            detail = f"this runtime does not run the component `{key}`" + (
                " in this version" if implementation else ""
            )
            yield Fault(pointer("nodes", planned.name, "component"), detail)
            continue
        for fault in implementation.check(planned.node.config):
            yield Fault(pointer("nodes", planned.name, "config") + fault.pointer, fault.detail)


def _signature(component: Component) -> object:
    """What an implementation relies on; texts and schemas may differ between versions of a runtime that meet."""
    return (
        component.inputs.keys(),
        component.outputs.keys(),
        component.pure,
        component.merge,
        component.collects,
    )


def _check(component: Component, port: str, *, proven: bool) -> Schema | None:
    """What values on a wire must pass when they arrive; None when the schemas alone show that all do."""
    schema = component.inputs[port].schema
    return None if proven or not schema else compiled(schema)


def _sorted_ports(planned: PlannedNode, plan: Plan) -> frozenset[str]:
    """Ports (for a collector: all or none) that several branches meet at, or one whose own order is by chance."""
    edges: dict[str, list[int]] = {}
    for wire in planned.wires:
        if wire.source is not None:
            edges.setdefault(wire.port if planned.component.merge == "all" else "", []).append(wire.source)
    unsure = {
        port for port, sources in edges.items() if len(sources) > 1 or not plan.nodes[sources[0]].ordered
    }
    if planned.component.merge == "all":
        return frozenset(unsure)
    return frozenset(wire.port for wire in planned.wires) if unsure else frozenset()
