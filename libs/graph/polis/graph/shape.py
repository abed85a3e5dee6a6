"""From a content to the Struct of a graph or component: every wrong, missing or unknown field at once."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec import Struct

from polis.graph.faults import GraphFaults
from polis.graph.reader import reader
from polis.graph.schema import BACKTRACKING, Schema
from polis.proto.graph import Component, Graph
from polis.proto.problems import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T", bound=Struct)
_graph, _component = reader(Graph), reader(Component)


def read_graph(content: Mapping[str, object]) -> Graph:
    """The graph that a content is. GraphFaults lists what does not fit; how nodes fit together is for `check`."""
    return _read(content, Graph, _graph)


def read_component(content: Mapping[str, object]) -> Component:
    """The component that a content is. GraphFaults lists what does not fit; its schemas are for `check_component`."""
    return _read(content, Component, _component)


def _read(content: Mapping[str, object], type_: type[T], read: Callable[[object], T]) -> T:
    try:
        faults = _schema(type_).faults(content)
    except ValueError as error:  # keys that are no text, nesting without end
        raise GraphFaults((Fault("", str(error)),)) from error
    if faults:
        raise GraphFaults(faults)
    try:
        return read(content)
    except msgspec.ValidationError as error:
        raise GraphFaults((Fault("", str(error)),)) from error


@cache
def _schema(type_: type[Struct]) -> Schema:
    schema = msgspec.json.schema(type_, schema_hook=_anything)
    for definition in schema["$defs"].values():
        definition.setdefault("additionalProperties", False)
    return Schema(schema, BACKTRACKING)


def _anything(type_: type) -> dict[str, object]:
    if type_ is object:
        return {"description": "Any JSON value."}
    raise NotImplementedError
