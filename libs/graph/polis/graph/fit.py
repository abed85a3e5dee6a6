"""Whether what one port gives can be taken by another, from their JSON Schemas alone; what is not known fits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Verdict = Literal["proven", "unknown"]
JsonSchema = Mapping[str, object] | bool
_TYPES = ("null", "boolean", "object", "array", "number", "string", "integer")
_TYPE_NAMES: dict[type, str] = {
    type(None): "null",
    bool: "boolean",
    str: "string",
    int: "integer",
    float: "number",
    dict: "object",
}
_UNDERSTOOD = frozenset(
    {"type", "enum", "const", "properties", "required", "items", "additionalProperties", "anyOf"}
)
_NOTES = frozenset(
    {"title", "description", "default", "examples", "deprecated", "$comment", "$schema", "$defs", "format"}
)


class Misfit(Exception):
    """A value that the source may give is none that the target takes. The text says which."""


def fits(source: JsonSchema, target: JsonSchema) -> Verdict:
    """`proven` when everything that the source may give is taken, `unknown` when only running can tell.

    Misfit when the source itself states a type, a value or a shape that the target refuses.
    """
    return _fits(source, target, "")


def _fits(source: object, target: object, at: str) -> Verdict:
    if target is True or target == {} or source is False:
        return "proven"
    if target is False:
        raise Misfit(f"{at or 'nothing'} is taken there")
    if source is True or not isinstance(source, dict) or not isinstance(target, dict):
        return "unknown"
    if isinstance(branches := source.get("anyOf"), list) and len(source.keys() - _NOTES) == 1:
        return _all([_fits(branch, target, at) for branch in branches])
    if isinstance(choices := target.get("anyOf"), list) and len(target.keys() - _NOTES) == 1:
        return _any(source, choices, at)
    return _all(
        [
            _types(source, target, at),
            _values(source, target, at),
            _shape(source, target, at),
            _items(source, target, at),
            "unknown" if target.keys() - _UNDERSTOOD - _NOTES else "proven",
        ]
    )


def _all(verdicts: list[Verdict]) -> Verdict:
    return "unknown" if "unknown" in verdicts else "proven"


def _any(source: Mapping[str, object], choices: list[object], at: str) -> Verdict:
    misfits = []
    verdicts = []
    for choice in choices:
        try:
            verdicts.append(_fits(source, choice, at))
        except Misfit as misfit:
            misfits.append(str(misfit))
    if "proven" in verdicts:
        return "proven"
    # A source of several types may fit one choice with each of them.
    if verdicts or len(types_of(source) or _TYPES) > 1:
        return "unknown"
    raise Misfit(misfits[0] if misfits else f"{at or 'it'} fits no choice")


def types_of(schema: Mapping[str, object]) -> tuple[str, ...] | None:
    """The types that a schema states, by `type`, `const` or `enum`; None when it states none."""
    stated = schema.get("type")
    if isinstance(stated, str):
        return (stated,)
    if isinstance(stated, list):
        return tuple(str(name) for name in stated)
    values = _listed(schema)
    return None if values is None else tuple(dict.fromkeys(_type_of(value) for value in values))


def _types(source: Mapping[str, object], target: Mapping[str, object], at: str) -> Verdict:
    given, taken = types_of(source), types_of(target)
    if taken is None:
        return "proven"
    if given is None:
        return "unknown"
    accepted = {*taken, "integer"} if "number" in taken else set(taken)
    refused = [name for name in given if name not in accepted]
    # JSON Schema calls 1.0 an integer, so a number may be one.
    if refused == ["number"] and "integer" in accepted:
        return "unknown"
    if refused:
        raise Misfit(f"{_name(at)} may be {_or(refused)} but must be {_or(taken)}")
    return "proven"


def _values(source: Mapping[str, object], target: Mapping[str, object], at: str) -> Verdict:
    taken = _listed(target)
    if taken is None:
        return "proven"
    given = _listed(source)
    if given is None:
        return "unknown"
    refused = [value for value in given if not any(_same(value, other) for other in taken)]
    if refused:
        raise Misfit(f"{_name(at)} may be a value that is not among those taken")
    return "proven"


def _shape(source: Mapping[str, object], target: Mapping[str, object], at: str) -> Verdict:
    if "object" not in (types_of(source) or ("object",)):
        return "proven"
    given, taken = _mapping(source.get("properties")), _mapping(target.get("properties"))
    always = _names(source.get("required"))
    closed = source.get("additionalProperties") is False
    verdicts: list[Verdict] = []
    for name in sorted(_names(target.get("required")) - always):
        if name in given or closed:
            raise Misfit(
                f"{_name(at + '/' + name)} {'may be' if name in given else 'is always'} missing but is required"
            )
        verdicts.append("unknown")
    for name, schema in taken.items():
        if name in given:
            verdicts.append(_fits(given[name], schema, f"{at}/{name}"))
        elif not closed:
            verdicts.append(_fits(True, schema, f"{at}/{name}"))
    verdicts.append(_rest(given.keys() - taken.keys(), target, at, closed=closed))
    return _all(verdicts)


def _rest(names: set[str], target: Mapping[str, object], at: str, *, closed: bool) -> Verdict:
    """Properties that the target does not name."""
    rest = target.get("additionalProperties", True)
    if rest is True or rest == {}:
        return "proven"
    if rest is False and names and "patternProperties" not in target:
        raise Misfit(f"{_name(at + '/' + min(names))} is no field there")
    return "proven" if closed and not names else "unknown"


def _items(source: Mapping[str, object], target: Mapping[str, object], at: str) -> Verdict:
    if "items" not in target or "array" not in (types_of(source) or ("array",)):
        return "proven"
    if "items" not in source:
        return "unknown"
    return _fits(source["items"], target["items"], f"{at}/*")


def _listed(schema: Mapping[str, object]) -> list[object] | None:
    if "const" in schema:
        return [schema["const"]]
    values = schema.get("enum")
    return list(values) if isinstance(values, list | tuple) else None


def _mapping(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _names(value: object) -> set[str]:
    return {name for name in value if isinstance(name, str)} if isinstance(value, list | tuple) else set()


def _type_of(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return "integer"
    return _TYPE_NAMES.get(type(value), "array")


def _same(one: object, other: object) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _name(at: str) -> str:
    return at or "the value"


def _or(names: list[str] | tuple[str, ...]) -> str:
    return " or ".join(names)
