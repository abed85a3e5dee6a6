"""Which messages of a node are shown where runs are looked at, and what of them: compiled once per version.

A node whose input keeps something back may hold it in whatever it emits: its outputs keep themselves back as a whole, and so
on along the wires, unless a port states a class of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from polis.graph.redact import SHOWN, declared_class, hidden_class, mark, shown

if TYPE_CHECKING:
    from polis.graph import Plan, PlannedNode

Schema = Mapping[str, object]


class Exposure(Struct, frozen=True):
    """What is shown of a node's messages: the schemas that hold at each port. taint: the class of what it makes of them."""

    inputs: Mapping[str, Sequence[Schema]]
    outputs: Mapping[str, Schema]
    taint: str | None

    def input(self, port: str, value: object) -> object:
        return shown(value, self.inputs.get(port, ()))

    def output(self, port: str, value: object) -> object:
        schema = self.outputs.get(port, {})
        if self.taint is not None and declared_class(schema) not in SHOWN:
            return mark(self.taint)
        return shown(value, [schema])

    def said(self, value: object) -> object:
        """What it says of its messages, wherever in them that comes from."""
        return shown(value, ()) if self.taint is None else mark(self.taint)


def exposures(plan: Plan, taint: str | None = None) -> list[Exposure]:
    """Of each node, in the plan's order. taint: that of the node that runs this graph."""
    found: list[Exposure] = []
    for node in plan.nodes:
        inputs = _inputs(plan, node, found)
        kept_back = (hidden_class(schema) for schemas in inputs.values() for schema in schemas)
        own = taint or next((name for name in kept_back if name is not None), None)
        outputs = {port: declared.schema for port, declared in node.component.outputs.items()}
        found.append(Exposure(inputs, outputs, own))
    return found


def _inputs(plan: Plan, node: PlannedNode, before: Sequence[Exposure]) -> dict[str, list[Schema]]:
    """By port: its own schema, and those of whatever leads to it."""
    inputs: dict[str, list[Schema]] = {
        port: [declared.schema] for port, declared in node.component.inputs.items()
    }
    for wire in node.wires:
        schemas = inputs.setdefault(wire.port, [])
        if wire.source is None:
            schemas.append(plan.graph.inputs[wire.name].schema)
            continue
        source = before[wire.source]
        for port in _ports(plan, wire.source, node, wire.port):
            schema = source.outputs.get(port, {})
            schemas.append(schema)
            if source.taint is not None and declared_class(schema) not in SHOWN:
                schemas.append({"x-data-class": source.taint})
    return inputs


def _ports(plan: Plan, source: int, node: PlannedNode, port: str) -> list[str]:
    """The ports of a node that lead to a port of another."""
    names = plan.nodes[source].name, f"{node.name}.{port}"
    ends = (edge for edge in plan.graph.edges if edge.target == names[1])
    return [edge.source.partition(".")[2] for edge in ends if edge.source.partition(".")[0] == names[0]]
