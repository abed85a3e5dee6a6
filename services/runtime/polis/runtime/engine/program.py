"""A checked graph joined with what runs each node: compiled once per version, shared by all its runs, never changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from polis.graph import GraphFaults, GraphUse, Plan, check, pointer, signature, undo
from polis.proto.graph import Component, Graph
from polis.proto.problems import Fault
from polis.runtime.component import Implementation
from polis.runtime.engine.exposure import exposures
from polis.runtime.engine.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

Lookup = Callable[[str], Implementation | None]


class Program:
    """What a run executes, or a node of one that runs a graph.

    path: what the names of its nodes begin with. last: whether nothing that comes after it has an effect.
    """

    __slots__ = (
        "graph",
        "ordered_exits",
        "plan",
        "quick",
        "roots",
        "scopes",
        "stages",
        "steps",
        "traced",
        "undoes",
        "waits",
    )

    def __init__(
        self,
        plan: Plan,
        implementations: Mapping[str, Implementation],
        *,
        path: str = "",
        last: bool = True,
        taint: str | None = None,
    ) -> None:
        self.plan = plan
        self.graph = plan.graph
        self.stages = tuple(
            Stage(index, node, implementations[node.component.key], plan, path)
            for index, node in enumerate(plan.nodes)
        )
        for stage in reversed(self.stages):
            behind = [self.stages[index] for index in stage.targets]
            stage.last_effect = last and all(not other.effects and other.last_effect for other in behind)
            stage.chooses = stage.latest and (stage.effects or not stage.last_effect)
            stage.plain = stage.plain and not stage.chooses
        for stage, planned, exposure in zip(self.stages, plan.nodes, exposures(plan, taint), strict=True):
            stage.record(exposure, plan.graph.record)
            if planned.body is not None:
                stage.contain(_body(stage, planned.body, implementations, exposure.taint))
            if planned.undo is not None:
                path, taint_ = f"{stage.path}/", exposure.taint
                stage.be_undone(Program(planned.undo, implementations, path=path, last=False, taint=taint_))
        self.steps: tuple[Stage, ...] = tuple(
            step for stage in self.stages for step in (stage, *_inner(stage.body), *_inner(stage.undo))
        )
        """Every node, each followed by those of the graph that it runs, and of what undoes it."""
        self.traced: bool = any(stage.component.trust == "model" for stage in self.steps)
        """Whether a model has a word in it, so that values carry what they were made of."""
        self.undoes: bool = any(stage.undo is not None for stage in self.steps)
        self.roots = sum(stage.bit for stage in self.stages if not stage.sources)
        """The bits of the nodes that have something to do when a run begins."""
        self.ordered_exits = frozenset(
            name for node in plan.nodes if node.ordered for names in node.exits.values() for name in names
        )
        self.scopes = tuple(sorted({scope for stage in self.steps for scope in stage.scopes}))
        """What the run's token must allow: the sum of what its components declare."""
        self.quick: bool = not any(stage.whole for stage in self.stages) and all(
            stage.body.quick if stage.body is not None else stage.inline or stage.eager
            for stage in self.stages
        )
        """Whether nothing in it has an effect or waits for others."""
        self.waits = any(stage.waits for stage in self.steps)
        """Whether it may wait for what comes from outside."""


def _inner(program: Program | None) -> tuple[Stage, ...]:
    return () if program is None else program.steps


def _body(
    stage: Stage, plan: Plan, implementations: Mapping[str, Implementation], taint: str | None
) -> Program:
    """The program that a node runs. In rounds, what comes after an effect is the same effect again."""
    last = stage.last_effect and stage.component.body != "rounds"
    return Program(plan, implementations, path=f"{stage.path}/", last=last, taint=taint)


def compile_program(
    graph: Graph,
    components: Mapping[str, Component],
    lookup: Lookup,
    graphs: Mapping[GraphUse, Graph] | None = None,
) -> Program:
    """The program of a graph. GraphFaults lists all that is wrong, also what only an implementation can tell."""
    plan = check(graph, components, graphs)
    implementations = {key: found for key in components if (found := lookup(key)) is not None}
    faults = list(_implementation_faults(plan, components, implementations))
    if faults:
        raise GraphFaults(faults)
    program = Program(plan, implementations)
    for number, stage in enumerate(program.steps):
        stage.number = number
        around: Stage | None = stage
        while around is not None:
            around.mark |= 1 << number
            around = around.outer
    return program


def _implementation_faults(
    plan: Plan, components: Mapping[str, Component], implementations: Mapping[str, Implementation]
) -> Iterator[Fault]:
    for planned in plan.nodes:
        key = planned.component.key
        implementation = implementations.get(key)
        if implementation is None or signature(implementation.component) != signature(components[key]):
            detail = f"this runtime does not run the component `{key}`" + (
                " in this version" if implementation else ""
            )
            yield Fault(pointer("nodes", planned.name, "component"), detail)
            continue
        if planned.undo is not None:
            found = _implementation_faults(planned.undo, components, implementations)
            yield from undo.at(planned.name, found)
        if planned.body is not None:
            at = pointer("nodes", planned.name, "config", "graph")
            for fault in _implementation_faults(planned.body, components, implementations):
                yield Fault(at + fault.pointer, fault.detail)
