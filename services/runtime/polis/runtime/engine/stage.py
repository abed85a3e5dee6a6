"""A node of a program: what `polis.graph` planned, in the form that is quickest to run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from polis.graph import Plan, PlannedNode, Schema, compiled, unordered
from polis.proto.graph import Component
from polis.runtime.component import Implementation
from polis.runtime.engine.outside import MAX_OPEN, opener

if TYPE_CHECKING:
    from polis.runtime.engine.exposure import Exposure
    from polis.runtime.engine.program import Program


class Stage:
    """A node of a program. `path`: its name behind those of the nodes that run the graph that it is in."""

    __slots__ = (
        "bit",
        "body",
        "checks",
        "chooses",
        "collector",
        "component",
        "concurrency",
        "config",
        "driver",
        "eager",
        "effects",
        "exits",
        "exposure",
        "gives",
        "index",
        "inline",
        "last_effect",
        "latest",
        "mark",
        "marks",
        "name",
        "number",
        "open",
        "outer",
        "pairs",
        "path",
        "plain",
        "port_sources",
        "ports",
        "pure",
        "retry",
        "routes",
        "scopes",
        "shown",
        "silence_s",
        "sorted_ports",
        "sorts",
        "sources",
        "strict",
        "targets",
        "task",
        "timeout_s",
        "title",
        "undo",
        "unordered",
        "waits",
        "whole",
    )

    def __init__(
        self, index: int, planned: PlannedNode, implementation: Implementation, plan: Plan, path: str
    ) -> None:
        node, component = planned.node, planned.component
        self.index = index
        self.bit = 1 << index
        self.number = 0
        """Its place among all steps of the run."""
        self.mark = 0
        """Its bit among all steps of the run, and those of the steps in it."""
        self.outer: Stage | None = None
        """The node that runs the graph that it is in."""
        self.name = planned.name
        self.path = path + planned.name
        self.title = node.title or component.title
        self.component = component
        self.config: Mapping[str, object] = node.config
        self.inline, self.task = implementation.inline, implementation.task
        self.waits = implementation.waiting is not None
        """Whether outcomes come from outside; an attempt only says what is waited for."""
        if implementation.waiting is not None:
            self.inline, self.task = opener(implementation.waiting)
        self.collector = implementation.collector
        self.driver = implementation.driver
        self.body: Program | None = None
        """The graph that it runs, as its driver says."""
        self.undo: Program | None = None
        """What undoes its effect, when the run fails or is cancelled."""
        self.effects = not component.pure
        self.pure = component.pure or planned.body is not None
        """Whether it is done again after a crash; where it runs a graph, the effects in that are replayed."""
        self.plain = component.pure and self.inline is not None
        """A pure function: the kind of node that the engine runs with the least ado."""
        self.exposure: Exposure | None = None
        """What is kept of its messages, if anything is."""
        self.last_effect = True
        """Whether nothing behind it has an effect: what follows from its outcome shows with the run's next record."""
        self.shown: Exposure
        """What of its messages may be shown."""
        # What may be called is for the implementation to say: the catalog's component may be another org's.
        self.scopes = (*implementation.component.scopes, *implementation.needs(node.config))
        # A pure step that may call nobody awaits nothing but its own step: it is started without a task.
        self.eager = component.pure and not self.scopes
        # Who waits is not at work: a bound of steps at work is none of waits, but for one that wants them in turn.
        self.concurrency = MAX_OPEN if self.waits and node.concurrency > 1 else node.concurrency
        self.retry = node.retry
        self.whole = not self.pure or (self.driver is not None and node.retry is not None)
        """Whether what it emits goes on together, when that is durable: another attempt may come to something else."""
        self.timeout_s = node.timeout_s
        self.silence_s = node.heartbeat_timeout_s
        self.unordered = unordered(component, node)
        """Whether what it emits goes on as it comes, under ordinals that say whose it is."""
        self._connect(planned, plan)

    def _connect(self, planned: PlannedNode, plan: Plan) -> None:
        component = self.component
        self.ports = tuple(wire.port for wire in planned.wires)
        """The input port that each wire ends at."""
        self.port_sources = {
            port: tuple(w.source for w in planned.wires if w.port == port and w.source is not None)
            for port in self.ports
        }
        # What ships is tested to give what it declares. Where schemas alone prove that a wire fits, nobody else would look.
        self.gives = _gives(component) if component.execution is not None else {}
        """By port: what a component of an org gives must pass."""
        self.checks = tuple(_check(component, wire.port, proven=wire.proven) for wire in planned.wires)
        self.strict = component.merge == "zip"
        self.latest = component.merge == "latest" and bool(planned.wires)
        self.chooses = False
        """Whether it is to be journaled which messages came together: there is no other order than that of time."""
        self.pairs = component.merge in ("all", "zip") and bool(planned.wires)
        # Where several wires meet, items of different wires may have the same lineage: the wire tells them apart.
        self.marks = len(planned.wires) > 1 and not (self.pairs or self.latest)
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

    def record(self, exposure: Exposure, what: str) -> None:
        """Keep its messages, if the graph says so (`record`); then every item is followed by itself."""
        self.shown = exposure
        if what == "all" or (what == "effects" and self.effects):
            self.exposure = exposure
            self.plain = False

    def be_undone(self, undo: Program) -> None:
        """Have its effect undone by this graph."""
        self.undo = undo
        for stage in undo.stages:
            stage.outer = self

    def contain(self, body: Program) -> None:
        """Run this graph."""
        self.body = body
        self.scopes = tuple(sorted({*self.scopes, *self.body.scopes}))
        for stage in self.body.stages:
            stage.outer = self


def _check(component: Component, port: str, *, proven: bool) -> Schema | None:
    """What values on a wire must pass when they arrive; None when the schemas alone show that all do."""
    schema = component.inputs[port].schema
    return None if proven or not schema else compiled(schema)


def _gives(component: Component) -> Mapping[str, Schema]:
    return {port: compiled(given.schema) for port, given in component.outputs.items() if given.schema}


def _sorted_ports(planned: PlannedNode, plan: Plan) -> frozenset[str]:
    """Ports (for a collector: all or none) that several branches meet at, or one whose own order is by chance."""
    pairs = planned.component.merge != "any"
    edges: dict[str, list[int]] = {}
    for wire in planned.wires:
        if wire.source is not None:
            edges.setdefault(wire.port if pairs else "", []).append(wire.source)
    unsure = {
        port for port, sources in edges.items() if len(sources) > 1 or not plan.nodes[sources[0]].ordered
    }
    if pairs:
        return frozenset(unsure)
    return frozenset(wire.port for wire in planned.wires) if unsure else frozenset()
