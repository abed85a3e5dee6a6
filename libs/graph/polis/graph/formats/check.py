"""Whether the texts of a value are of the formats that its schema gives them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from polis.graph.faults import Malformed, pointer
from polis.graph.formats import cel, jsonpath, moment, mustache, names, pattern
from polis.graph.schema import compiled, resolved, schema_faults
from polis.proto.problems import Fault

Schema = Mapping[str, object]
Path = tuple[str | int, ...]
VARIABLES = "x-variables"
MAX_VARIABLES = 16

FORMATS: Mapping[str, Callable[[str], object]] = {
    "css": names.refuse_selector,
    "date-time": moment.moment,
    "event": names.refuse_event,
    "json-path": jsonpath.segments,
    "mustache": mustache.parsed,
    "operation": names.refuse_operation,
    "path": names.refuse_way_out,
    "re2": pattern.pattern,
    "strftime": moment.refuse_directives,
    "time-zone": moment.zone,
    "url": names.refuse_url,
    "uuid": names.refuse_uuid,
}
"""What raises Malformed for a text that is not of the format. Besides: `cel`, and `json-schema` of an object."""


def format_faults(schema: Schema, value: object, *path: str | int) -> Iterator[Fault]:
    """What is wrong with the texts of a value that fits the schema, each at its pointer behind `path`."""
    yield from _faults(schema, value, schema, path)


def declared_faults(schema: Schema, *path: str | int) -> Iterator[Fault]:
    """What is wrong with the formats that a schema itself declares."""
    variables = schema.get(VARIABLES)
    if variables is not None and _variables(schema) is None:
        yield Fault(pointer(*path, VARIABLES), f"up to {MAX_VARIABLES} names of letters, digits and _")
    for name, sub in _subschemas(schema):
        yield from declared_faults(sub, *path, *name)


def _subschemas(schema: Schema) -> Iterator[tuple[Path, Schema]]:
    for keyword in ("properties", "$defs"):
        for name, sub in _object(schema.get(keyword)).items():
            if isinstance(sub, dict):
                yield (keyword, name), sub
    for keyword in ("items", "additionalProperties"):
        sub = schema.get(keyword)
        if isinstance(sub, dict):
            yield (keyword,), sub


def _faults(schema: object, value: object, root: Schema, path: Path) -> Iterator[Fault]:
    if not isinstance(schema, dict):
        return
    if isinstance(schema.get("$ref"), str):
        yield from _faults(resolved(root, schema["$ref"]), value, root, path)
    yield from _own_faults(schema, value, path)
    for sub in _branches(schema, value, root):
        yield from _faults(sub, value, root, path)
    if isinstance(value, dict):
        known = _object(schema.get("properties"))
        for name, member in value.items():
            yield from _faults(
                known.get(name, schema.get("additionalProperties")), member, root, (*path, name)
            )
    elif isinstance(value, list):
        first = schema.get("prefixItems")
        ahead = first if isinstance(first, list) else []
        for place, member in enumerate(value):
            sub = ahead[place] if place < len(ahead) else schema.get("items")
            yield from _faults(sub, member, root, (*path, place))


def _own_faults(schema: Schema, value: object, path: Path) -> Iterator[Fault]:
    form = str(schema.get("format", ""))
    if form == "json-schema":
        yield from schema_faults(value, *path)
    elif isinstance(value, str) and (form == "cel" or form in FORMATS):
        try:
            if form == "cel":
                cel.program(value, _variables(schema) or ())
            else:
                FORMATS[form](value)
        except Malformed as error:
            yield Fault(pointer(*path), str(error))


def _branches(schema: Schema, value: object, root: Schema) -> Iterator[object]:
    """The subschemas that hold for the same value: all of `allOf`, of the others those that it fits."""
    yield from _list(schema.get("allOf"))
    for sub in (*_list(schema.get("anyOf")), *_list(schema.get("oneOf"))):
        if isinstance(sub, dict) and compiled({**sub, "$defs": root.get("$defs", {})}).accepts(value):
            yield sub


def _variables(schema: Schema) -> tuple[str, ...] | None:
    """The names that an expression may speak of; None where they are not names."""
    given = schema.get(VARIABLES, ["item"])
    if not isinstance(given, list) or len(given) > MAX_VARIABLES:
        return None
    if not all(isinstance(name, str) and name.isidentifier() and name.isascii() for name in given):
        return None
    return tuple(given)


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
