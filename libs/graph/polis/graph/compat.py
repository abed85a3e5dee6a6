"""Whether what a run has done under one version of a graph holds under another: each outcome at the same place in lineage.

Items are named after the nodes and wires on their way, so for every node with outcomes that whole way must be the same:
what is behind it, or beside it, may be anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from polis.graph.diff import differences
from polis.graph.faults import pointer
from polis.proto.problems import Fault

if TYPE_CHECKING:
    from polis.graph.plan import Plan, PlannedNode, Wire


def obstacles(old: Plan, new: Plan, done: Iterable[str]) -> list[Fault]:
    """Everything in the new plan that keeps a run of the old one from going on by it. done: nodes with outcomes.

    The configuration of a node with an effect may change: it holds for what is done from then on. That of a pure node in
    front of an outcome may not: the run computes it again, and would come to other items.
    """
    names = {node.name for node in old.nodes}
    held = set(done) & names
    faults: dict[str, Fault] = {}
    for node in old.nodes:
        if node.name in _way(old, held):
            for fault in _changed(old, new, node, done=node.name in held):
                faults.setdefault(fault.pointer, fault)
    return list(faults.values())


def _way(plan: Plan, held: set[str]) -> set[str]:
    """The nodes with outcomes, and all in front of them."""
    found = set(held)
    for node in reversed(plan.nodes):
        if node.name in found:
            found |= {plan.nodes[wire.source].name for wire in node.wires if wire.source is not None}
    return found


def _changed(old: Plan, new: Plan, node: PlannedNode, *, done: bool) -> Iterator[Fault]:
    at = pointer("nodes", node.name)
    why = "the run has outcomes of it" if done else "the run has outcomes behind it"
    other = next((found for found in new.nodes if found.name == node.name), None)
    if other is None:
        yield Fault(at, f"it is gone, and {why}")
        return
    if other.component.key != node.component.key:
        yield Fault(f"{at}/component", f"it was `{node.component.key}`, and {why}")
    elif _shape(other) != _shape(node):
        yield Fault(f"{at}/component", f"the component's ports, purity or way of firing differ, and {why}")
    if node.component.pure and differences(node.node.config, other.node.config):
        yield Fault(f"{at}/config", f"it would compute other items, and {why}")
    if [_way_in(old, wire) for wire in node.wires] != [_way_in(new, wire) for wire in other.wires]:
        yield Fault(at, f"what leads to it differs, and {why}")
    for wire in node.wires:
        if wire.source is None and wire.name in new.graph.inputs:
            was, is_ = old.graph.inputs[wire.name].default, new.graph.inputs[wire.name].default
            if differences(was, is_):
                yield Fault(pointer("inputs", wire.name, "default"), "the run may have begun with another")


def _shape(node: PlannedNode) -> object:
    component = node.component
    return (
        component.inputs.keys(),
        component.outputs.keys(),
        component.pure,
        component.merge,
        component.collects,
    )


def _way_in(plan: Plan, wire: Wire) -> tuple[str, str]:
    source = f"input {wire.name}" if wire.source is None else plan.nodes[wire.source].name
    return wire.port, source
