"""JSON Schema (2020-12) as Polis takes it: compiled once, linear-time patterns, nothing fetched, no unbounded expansion."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING

import jsonschema_rs
import msgspec

from polis.graph.faults import GraphFaults, pointer
from polis.proto.problems import Fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Patterns = jsonschema_rs.RegexOptions | jsonschema_rs.FancyRegexOptions

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MAX_SUBSCHEMAS = 500
"""Subschemas of one schema with its references written out: validation time grows with it."""
MAX_DEPTH = 32
MAX_FAULTS = 50
"""Faults that one validation lists; a list of a thousand wrong items says no more than fifty do."""
_CACHED_SCHEMAS = 4096

_REFUSED = frozenset(
    {
        "$id",
        "$anchor",
        "$dynamicRef",
        "$dynamicAnchor",
        "$recursiveRef",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)
"""Keywords that move references, or make a validator look at a value again and again."""
_DATA = frozenset({"const", "enum", "default", "examples"})
_NAMED = frozenset({"properties", "patternProperties", "dependentSchemas", "$defs", "definitions"})
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")
"""What names an item of a list (RFC 6901 4)."""
_MASK = "the value"


LINEAR = jsonschema_rs.RegexOptions()
"""Patterns without look-around or back-references: matching takes linear time, whoever wrote them."""
BACKTRACKING = jsonschema_rs.FancyRegexOptions()
"""Every pattern: for schemas of our own contract only."""


class Schema:
    """A compiled schema. `is_open` means that it accepts everything, so nobody needs to ask it."""

    __slots__ = ("_validator", "is_open")

    def __init__(self, schema: Mapping[str, object], patterns: Patterns = LINEAR) -> None:
        self.is_open = not schema
        self._validator = jsonschema_rs.Draft202012Validator(
            dict(schema), mask=_MASK, offline=True, pattern_options=patterns
        )

    def accepts(self, value: object) -> bool:
        return self._validator.is_valid(value)

    def faults(self, value: object, *path: str | int) -> tuple[Fault, ...]:
        """What does not fit, each at its pointer behind `path`. No message repeats the value."""
        if self._validator.is_valid(value):
            return ()
        return tuple(
            _first(
                fault for error in self._validator.iter_errors(value) for fault in _faults(error, value, path)
            )
        )


def compiled(schema: Mapping[str, object]) -> Schema:
    """The compiled form, from a bounded cache. GraphFaults when it is not a schema that Polis takes."""
    return _compiled(msgspec.json.encode(schema, order="deterministic"))


@lru_cache(maxsize=_CACHED_SCHEMAS)
def _compiled(encoded: bytes) -> Schema:
    schema = msgspec.json.decode(encoded)
    faults = schema_faults(schema)
    if faults:
        raise GraphFaults(faults)
    return Schema(schema)


def schema_faults(schema: object, *path: str | int) -> tuple[Fault, ...]:
    """Why something is no schema that Polis takes, each at its pointer behind `path`; empty when it is one."""
    faults = list(
        _first(f for error in _metaschema().iter_errors(schema) for f in _faults(error, schema, path))
    )
    if not faults:
        faults = list(_first(_keyword_faults(schema, path)))
    if not faults and _size(schema, schema, ()) > MAX_SUBSCHEMAS:
        detail = (
            f"more than {MAX_SUBSCHEMAS} subschemas when references are written out, or one that holds itself"
        )
        faults = [Fault(pointer(*path), detail)]
    return tuple(faults) or _compile_faults(schema, path)


def _compile_faults(schema: object, path: tuple[str | int, ...]) -> tuple[Fault, ...]:
    """What only the compiler sees, such as a reference into nowhere."""
    try:
        Schema(schema)  # type: ignore[arg-type] # the metaschema has just shown its shape
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        return (Fault(pointer(*path), str(error).splitlines()[0]),)
    return ()


@cache
def _metaschema() -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(
        {"type": "object", "$ref": DIALECT},
        mask=_MASK,
        offline=True,
        pattern_options=LINEAR,
    )


def _faults(
    error: jsonschema_rs.ValidationError, value: object, path: tuple[str | int, ...]
) -> Iterator[Fault]:
    """One fault, or one for each field that is unknown: a pointer should lead to what must change."""
    at = (*path, *error.instance_path)
    kind = error.kind
    if error.schema_path and error.schema_path[-1] == "additionalProperties":
        # Where a schema names no property at all, the error tells of the object and no names.
        for name in getattr(kind, "unexpected", None) or _found(value, error.instance_path):
            yield Fault(pointer(*at, name), "unknown field")
    elif isinstance(kind, jsonschema_rs.ValidationErrorKind.Required):
        yield Fault(pointer(*at, kind.property), "required")
    else:
        yield Fault(pointer(*at), error.message)


def _found(value: object, path: Iterable[str | int]) -> Iterable[str]:
    """The keys of the object at a path."""
    for step in path:
        value = value[step]  # type: ignore[index] # the validator has just walked there
    return value if isinstance(value, dict) else ()


def _first(faults: Iterator[Fault]) -> Iterator[Fault]:
    for _, fault in zip(range(MAX_FAULTS), faults, strict=False):
        yield fault


def _children(schema: Mapping[str, object]) -> Iterator[tuple[tuple[str | int, ...], object]]:
    """The subschemas of a schema with their paths; values that are data are not among them."""
    for keyword, value in schema.items():
        if keyword in _DATA:
            continue
        if keyword in _NAMED and isinstance(value, dict):
            yield from (((keyword, name), sub) for name, sub in value.items())
        elif isinstance(value, dict):
            yield (keyword,), value
        elif isinstance(value, list):
            yield from (((keyword, index), sub) for index, sub in enumerate(value))


def _keyword_faults(schema: object, path: tuple[str | int, ...], depth: int = 0) -> Iterator[Fault]:
    if not isinstance(schema, dict):
        return
    if depth > MAX_DEPTH:
        yield Fault(pointer(*path), f"nested deeper than {MAX_DEPTH} schemas")
        return
    for keyword in _REFUSED & schema.keys():
        yield Fault(pointer(*path, keyword), "this keyword is not supported")
    reference = schema.get("$ref")
    if isinstance(reference, str) and not reference.startswith("#/") and reference != "#":
        yield Fault(pointer(*path, "$ref"), "references must stay inside the schema (`#/...`)")
    if schema.get("$schema", DIALECT) != DIALECT:
        yield Fault(pointer(*path, "$schema"), f"the dialect is {DIALECT}")
    for step, sub in _children(schema):
        yield from _keyword_faults(sub, (*path, *step), depth + 1)


def _size(schema: object, root: object, open_refs: tuple[str, ...]) -> int:
    """How many subschemas there are with references written out; past the bound for one that holds itself."""
    if not isinstance(schema, dict):
        return 1
    total = 1
    reference = schema.get("$ref")
    if isinstance(reference, str):
        if reference in open_refs:
            return MAX_SUBSCHEMAS + 1
        total += _size(resolved(root, reference), root, (*open_refs, reference))
    for step, sub in _children(schema):
        if step[0] not in ("$defs", "definitions"):
            total += _size(sub, root, open_refs)
        if total > MAX_SUBSCHEMAS:
            break
    return total


def resolved(root: object, reference: str) -> object:
    """What a local reference names; None where it leads nowhere, which the compiler reports."""
    found = root
    for part in reference.removeprefix("#").split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict):
            found = found.get(key)
        elif isinstance(found, list) and _INDEX.fullmatch(key) and int(key) < len(found):
            found = found[int(key)]
        else:
            return None
    return found
