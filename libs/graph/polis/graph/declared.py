"""Whether what a component says of itself is so: its limits are those of its configuration, its examples fit its schemas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polis.graph.faults import pointer
from polis.graph.schema import compiled
from polis.proto.problems import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from polis.proto.graph import Component, Example, Port

_BOUNDS = ("maximum", "maxLength", "maxItems", "maxProperties")


def limit_faults(component: Component) -> Iterator[Fault]:
    """A limit that names a field of the configuration is the bound that the field's schema has."""
    fields = component.config.get("properties")
    for name, limit in component.limits.items():
        if not limit.config:
            continue
        schema = fields.get(limit.config) if isinstance(fields, dict) else None
        at = pointer("limits", name)
        if not isinstance(schema, dict):
            yield Fault(at, f"the configuration has no field `{limit.config}`")
        elif limit.most not in [schema[bound] for bound in _BOUNDS if bound in schema]:
            yield Fault(at, f"the schema of `{limit.config}` does not hold it to {limit.most:g}")


def example_faults(component: Component) -> Iterator[Fault]:
    """What in an example does not fit the component's own schemas."""
    for index, example in enumerate(component.examples):
        yield from compiled(component.config).faults(example.config, "examples", index, "config")
        for place, messages in enumerate(example.input):
            yield from _messages(messages, component.inputs, ("examples", index, "input", place))
        yield from _given(example, component, index)


def _given(example: Example, component: Component, index: int) -> Iterator[Fault]:
    for port, values in example.output.items():
        for place, value in enumerate(values):
            yield from _messages({port: value}, component.outputs, ("examples", index, "output", place))


def _messages(
    messages: Mapping[str, object], ports: Mapping[str, Port], at: tuple[str | int, ...]
) -> Iterator[Fault]:
    for port, value in messages.items():
        if port not in ports:
            yield Fault(pointer(*at, port), "there is no such port")
        else:
            yield from compiled(ports[port].schema).faults(value, *at, port)
