"""JSON Schema 2020-12 of every message. Problems get the members that RFC 9457 adds to their own fields."""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from inspect import cleandoc
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from polis.proto.contract import Event, Page, Problem, Request, problems
from polis.proto.registry import SERVICES, load

if TYPE_CHECKING:
    from collections.abc import Iterable

Json = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SHARED = ("problems", "graph")
"""Modules of the contract that belong to no service: what they declare is told with the services that use it."""
_OWNER_OF_SHARED = {"problems": "gateway", "graph": "catalog"}
_FRAME = (Request, Event, Problem, Page)


def documented(service: str) -> tuple[str, ...]:
    """The services that a service's documents tell of: the gateway is the public origin of all, others tell of themselves."""
    return tuple(entry.name for entry in SERVICES) if service == "gateway" else (service,)


def messages(service: str) -> tuple[type[Struct], ...]:
    """Every Struct that a service's module of the contract declares, in order, and the shared ones that it stands for."""
    load()
    modules = [service, *(module for module in SHARED if _OWNER_OF_SHARED[module] == service)]
    return tuple(cls for module in modules for cls in _structs_of(module))


def schemas(service: str) -> Json:
    """One JSON Schema document with each message of the service under `$defs`, by its name."""
    types = [cls for name in documented(service) for cls in messages(name)]
    _, defs = components(types, "#/$defs/{name}")
    return {"$schema": DIALECT, "title": f"Messages of {service}", "$defs": defs}


def schema_of(kind: Any) -> Json:
    """A schema that stands alone: what it refers to is in its own `$defs`."""
    (schema,), defs = components([kind], "#/$defs/{name}")
    name = schema.get("$ref", "").rpartition("/")[2]
    if not name:
        return schema | ({"$defs": defs} if defs else {})
    root: Json = defs[name] if _refers_to(defs, name) else defs.pop(name)
    return root | ({"$defs": defs} if defs else {})


def components(kinds: Iterable[Any], ref_template: str) -> tuple[list[Json], Json]:
    """The schema of each type, and the named schemas that they refer to, sorted by name."""
    found: list[Json] = []
    named: Json = {}
    for kind in kinds:
        schema, needed = _component(kind, ref_template)
        found.append(dict(schema))
        for name, other in needed.items():
            if named.setdefault(name, other) != other:
                raise ValueError(f"two types of the contract are named {name}")
    return found, dict(sorted(named.items()))


@cache
def _component(kind: Any, ref_template: str) -> tuple[Json, Json]:
    """Many operations share their types. What is found is nobody's to change."""
    (schema,), named = msgspec.json.schema_components([kind], schema_hook=_hook, ref_template=ref_template)
    renamed = {_name(name): _rename(schema) for name, schema in named.items()}
    for name, found in renamed.items():
        if (problem := _problem_named().get(name)) is not None:
            renamed[name] = _problem_schema(problem, found)
    return _rename(schema), renamed


def summary(thing: Any) -> str:
    """The first sentence of a docstring. Of `Page[Run]` it is Page's."""
    first, _, _ = _paragraph(thing).partition(". ")
    return first.removesuffix(".") + "."


def description(thing: Any) -> str:
    """A docstring after its first sentence."""
    text = cleandoc(_documented(thing) or "")
    return text[len(summary(thing)) :].strip()


def introduction(module: str) -> str:
    """What a module of the contract says of its service."""
    load()
    return cleandoc(import_module(f"polis.proto.{module}").__doc__ or "")


def _paragraph(thing: Any) -> str:
    return cleandoc(_documented(thing) or "").partition("\n\n")[0].replace("\n", " ")


def _documented(thing: Any) -> str | None:
    doc: str | None = getattr(thing, "__origin__", thing).__doc__
    return doc


def _structs_of(module: str) -> list[type[Struct]]:
    namespace = vars(import_module(f"polis.proto.{module}"))
    return [
        thing
        for thing in namespace.values()
        if isinstance(thing, type)
        and issubclass(thing, Struct)
        and f"{thing.__module__}.".startswith(f"polis.proto.{module}.")
        and thing not in _FRAME
    ]


@cache
def _problem_named() -> dict[str, type[Problem]]:
    load()
    return {cls.__name__: cls for cls in problems()}


def _problem_schema(problem: type[Problem], own: Json) -> Json:
    members: Json = {
        "type": {"const": problem.type},
        "title": {"type": "string", "description": "For people; may change."},
        "status": {"const": problem.status},
        "detail": {"type": "string", "description": "For people; may change."},
        "instance": {"type": "string", "description": "The trace id."},
    }
    return own | {
        "properties": members | own["properties"],
        "required": ["type", "title", "status", *own["required"]],
    }


def _hook(kind: type) -> Json:
    if kind is object:
        return {"description": "Any JSON value."}
    raise NotImplementedError


def _name(name: str) -> str:
    """`Page_Member_` reads better as `MemberPage`."""
    return re.sub(r"^(\w+?)_(\w+)_$", r"\2\1", name)


def _rename(schema: Any) -> Any:
    if isinstance(schema, list | tuple):
        return [_rename(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    renamed = {key: _rename(value) for key, value in schema.items()}
    if isinstance(ref := renamed.get("$ref"), str):
        head, slash, name = ref.rpartition("/")
        renamed["$ref"] = head + slash + _name(name)
    return renamed


def _refers_to(schema: Any, name: str) -> bool:
    if isinstance(schema, list):
        return any(_refers_to(item, name) for item in schema)
    if not isinstance(schema, dict):
        return False
    return schema.get("$ref") == f"#/$defs/{name}" or any(
        _refers_to(value, name) for value in schema.values()
    )
