"""Whether what a run has done under one version of a graph holds under another: each outcome at the same place in lineage.

Items are named after the nodes and wires on their way, so for every node with outcomes that whole way must be the same:
what is behind it, or beside it, may be anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import msgspec

from polis.graph.bodies import CONFIG
from polis.graph.diff import differences
from polis.graph.faults import pointer
from polis.proto.problems import Fault

if TYPE_CHECKING:
    from polis.graph.plan import Plan, PlannedNode, Wire


def obstacles(old: Plan, new: Plan, done: Iterable[str]) -> list[Fault]:
    """Everything in the new plan that keeps a run of the old one from going on by it.

    done: nodes with outcomes; one in the graph of another by its path, `outer/inner`. The configuration of a node with an
    effect may change: it holds for what is done from then on. That of a pure node in front of an outcome may not: the run
    computes it again, and would come to other items.
    """
    names = {node.name for node in old.nodes}
    paths = [path for path in done if path.partition("/")[0] in names]
    held = {path.partition("/")[0] for path in paths}
    front = _in_front(old, held)
    faults: dict[str, Fault] = {}
    for node in old.nodes:
        if node.name in held | front:
            inner = [path.partition("/")[2] for path in paths if path.startswith(f"{node.name}/")]
            for fault in _changed(old, new, node, inner, front=node.name in front):
                faults.setdefault(fault.pointer, fault)
    return list(faults.values())


def _in_front(plan: Plan, held: set[str]) -> set[str]:
    """The nodes that lead to one with outcomes."""
    found = set[str]()
    for node in reversed(plan.nodes):
        if node.name in held | found:
            found |= {plan.nodes[wire.source].name for wire in node.wires if wire.source is not None}
    return found


def _changed(old: Plan, new: Plan, node: PlannedNode, inner: list[str], *, front: bool) -> Iterator[Fault]:
    """What differs of a node that has outcomes, or leads to some (`front`). inner: the nodes of its graph that have some."""
    at = pointer("nodes", node.name)
    why = "the run has outcomes behind it" if front else "the run has outcomes of it"
    other = next((found for found in new.nodes if found.name == node.name), None)
    if other is None:
        yield Fault(at, f"it is gone, and {why}")
        return
    if other.component.key != node.component.key:
        yield Fault(f"{at}/component", f"it was `{node.component.key}`, and {why}")
        return
    if _shape(other) != _shape(node):
        yield Fault(f"{at}/component", f"the component's ports, purity or way of firing differ, and {why}")
    if (node.component.pure or node.body) and differences(_config(node), _config(other)):
        yield Fault(f"{at}/config", f"it would come to other items, and {why}")
    if node.body is not None and other.body is not None:
        yield from _inside(node.body, other.body, inner, at=f"{at}/config/{CONFIG}", front=front)
    if [_way_in(old, wire) for wire in node.wires] != [_way_in(new, wire) for wire in other.wires]:
        yield Fault(at, f"what leads to it differs, and {why}")
    for wire in node.wires:
        if wire.source is None and wire.name in new.graph.inputs:
            was, is_ = old.graph.inputs[wire.name].default, new.graph.inputs[wire.name].default
            if differences(was, is_):
                yield Fault(pointer("inputs", wire.name, "default"), "the run may have begun with another")


def _inside(old: Plan, new: Plan, done: list[str], *, at: str, front: bool) -> Iterator[Fault]:
    """What differs of the graph that a node runs: where something outside stands on what it gives, nothing may."""
    if front and differences(_plain(old), _plain(new)):
        yield Fault(at, "the run has outcomes behind this graph")
        return
    for fault in obstacles(old, new, done):
        yield Fault(at + fault.pointer, fault.detail)


def _config(node: PlannedNode) -> dict[str, object]:
    """What a node says besides the graph that it runs."""
    return {name: value for name, value in node.node.config.items() if not (node.body and name == CONFIG)}


def _plain(plan: Plan) -> object:
    return msgspec.json.decode(msgspec.json.encode(plan.graph))


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
