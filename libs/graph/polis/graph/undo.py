"""What undoes a node, as a graph of one node: checked and run like any other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from polis.graph.bodies import unordered
from polis.graph.faults import GraphFaults, pointer
from polis.proto.graph import Component, Graph, GraphInput, Node
from polis.proto.problems import Fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from polis.proto.graph import Compensation

NODE = "@undo"
"""The node that undoes another: no node of a graph has such a name."""
INPUT = "of"


def graph_of(compensation: Compensation, undone: Component, components: Mapping[str, Component]) -> Graph:
    """The graph that undoes a node. GraphFaults, relative to the compensation, when it cannot be one."""
    if undone.pure or undone.body is not None:
        raise GraphFaults([Fault("", "what has no effect of its own needs nothing to undo it")])
    found = components.get(compensation.component)
    if found is None:
        raise GraphFaults([Fault("/component", f"there is no component `{compensation.component}`")])
    ports = _ports(found, compensation)
    if len(ports) != 1:
        raise GraphFaults([Fault("/component", f"what undoes a step has one input, not {len(ports)}")])
    node = Node(
        compensation.component,
        config=compensation.config,
        retry=compensation.retry,
        timeout_s=compensation.timeout_s,
        concurrency=1,
    )
    if unordered(found, node):  # it has let go of results that another attempt would give again
        node = msgspec.structs.replace(node, retry=None)
    return Graph(nodes={NODE: node}, inputs={INPUT: GraphInput(f"{NODE}.{ports[0]}")})


def at(node: str, faults: Iterable[Fault]) -> Iterator[Fault]:
    """Faults of what undoes a node, at their places in the graph."""
    inner = pointer("nodes", NODE)
    for fault in faults:
        where = fault.pointer.removeprefix(inner) if fault.pointer.startswith(inner) else fault.pointer
        yield Fault(pointer("nodes", node, "compensate") + where, fault.detail)


def _ports(found: Component, compensation: Compensation) -> list[str]:
    """Its inputs; of one that runs a graph those of that."""
    written = compensation.config.get("graph")
    if found.body == "once" and isinstance(written, dict) and isinstance(written.get("inputs"), dict):
        return list(written["inputs"])
    required = [name for name, port in found.inputs.items() if port.required]
    return required or list(found.inputs)
