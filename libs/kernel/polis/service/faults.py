"""What is wrong with an input, as faults with JSON pointers: out of msgspec's errors, and every one at once."""

from __future__ import annotations

from functools import cache
from itertools import islice
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

import msgspec
from msgspec import Struct, inspect

from polis.proto.contract import fields_of
from polis.proto.names import IN_WORDS
from polis.proto.problems import Fault, Invalid

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_FAULTS = 100
"""Faults that one answer lists; whoever sends more wrong fields than that has enough to mend."""
_HOLDS: dict[type, tuple[type, ...]] = {dict: (Struct, dict), list: (list, tuple)}
_UNKNOWN = "No such field"
_MISSING = "Required, and missing"
_MATCHING = "`str` matching regex "
_RULES = {f"{_MATCHING}{pattern!r}": words for pattern, words in IN_WORDS.items()}


def faults_in(kind: Any, data: object) -> list[Fault]:
    """Everything about decoded JSON that does not fit the type: unknown, missing and wrong values, each at its pointer."""
    return list(islice(_faults(kind, data, ""), MAX_FAULTS))


def invalid_from_msgspec(error: msgspec.ValidationError, prefix: str = "") -> Invalid:
    """The one fault in a msgspec error: "Expected `int`, got `str` - at `$.a.b[0]`" is at `<prefix>/a/b/0`.

    msgspec says `[...]` for the value of any key of a mapping: then the pointer ends at the mapping.
    """
    text, _, place = str(error).rpartition(" - at `")
    if not text:
        text, place = place, "$`"
    place = place.removesuffix("`").removeprefix("key` in `")
    steps, unsaid = _steps(place)
    if _MATCHING in text:
        rule = text.removeprefix("Expected ")
        text = f"Expected {_RULES.get(rule, rule)}"
    if unsaid:
        text = f"{text} (in a value: `{unsaid}`)"
    for missing in ("Object missing required field `", "Object contains unknown field `"):
        if text.startswith(missing) and not unsaid:
            steps.append(text.removeprefix(missing).removesuffix("`"))
    return Invalid(faults=(Fault(pointer=prefix + pointer(*steps), detail=text),))


def pointer(*steps: str | int) -> str:
    """A JSON pointer (RFC 6901) from keys and indexes."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def unknown_fields(kind: type[Struct], data: Mapping[str, object]) -> list[Fault]:
    """Every field of decoded JSON that the Struct does not know, at any depth. Costs a set comparison when flat."""
    found: list[Fault] = []
    _collect(_shape(kind), data, (), found)
    return found[:MAX_FAULTS]


def flat_fields(kind: type[Struct]) -> frozenset[str]:
    """Those of its fields in which nothing can be unknown."""
    shape = _shape(kind)
    return (shape.names or frozenset()) - shape.fields.keys()


def _faults(kind: Any, data: object, at: str) -> Iterator[Fault]:
    """Inside first: a whole is only blamed for itself when all its parts are well."""
    inside = _inside(_shaped_like(kind, data), data, at)
    fault = next(inside, None)
    if fault is not None:
        yield fault
        yield from inside
        return
    try:
        msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        yield from invalid_from_msgspec(error, at).faults


def _inside(kind: Any, data: object, at: str) -> Iterator[Fault]:
    origin, arguments = get_origin(kind), get_args(kind)
    if isinstance(data, dict) and isinstance(kind, type) and issubclass(kind, Struct):
        yield from _in_struct(kind, data, at)
    elif isinstance(data, dict) and origin is dict:
        for key, value in data.items():
            yield from _faults(arguments[0], key, at + pointer(key))
            yield from _faults(arguments[1], value, at + pointer(key))
    elif isinstance(data, list) and (origin is list or (origin is tuple and arguments[1:] == (...,))):
        for index, value in enumerate(data):
            yield from _faults(arguments[0], value, at + pointer(index))


def _in_struct(kind: type[Struct], data: dict[str, object], at: str) -> Iterator[Fault]:
    kinds = fields_of(kind)
    for field in msgspec.structs.fields(kind):
        here = at + pointer(field.encode_name)
        if field.encode_name in data:
            yield from _faults(kinds[field.name], data[field.encode_name], here)
        elif field.required:
            yield Fault(pointer=here, detail=_MISSING)
    known = set(kind.__struct_encode_fields__)
    yield from (Fault(pointer=at + pointer(name), detail=_UNKNOWN) for name in sorted(data.keys() - known))


def _shaped_like(kind: Any, data: object) -> Any:
    """The type without its annotations; of a union the one member that could hold such data."""
    while get_origin(kind) is Annotated:
        kind = kind.__origin__
    if get_origin(kind) not in (Union, UnionType):
        return kind
    members = [_shaped_like(member, data) for member in get_args(kind)]
    wanted: tuple[type, ...] = _HOLDS.get(type(data), ())
    fitting = [m for m in members if isinstance(c := get_origin(m) or m, type) and issubclass(c, wanted)]
    return fitting[0] if len(fitting) == 1 else kind


def _steps(place: str) -> tuple[list[str], str]:
    """`$.a.b[0]` as steps, and what follows from the first `[...]` on."""
    exact, dots, rest = place.partition("[...]")
    steps = exact.removeprefix("$").replace("[", ".").replace("]", "").split(".")
    return [step for step in steps if step], dots + rest


class _Shape:
    """What to look into: a Struct's fields, every value of a list or mapping, or the one of several that a tag names.

    None where anything may stand.
    """

    __slots__ = ("each", "fields", "names", "tag_field", "tagged")

    def __init__(self) -> None:
        self.names: frozenset[str] | None = None
        self.fields: dict[str, _Shape] = {}
        self.each: _Shape | None = None
        self.tag_field: str | None = None
        self.tagged: dict[object, _Shape] = {}


@cache
def _shape(kind: object) -> _Shape:
    return _shape_of(inspect.type_info(kind), {}) or _Shape()


def _shape_of(info: inspect.Type, seen: dict[type, _Shape]) -> _Shape | None:
    match info:
        case inspect.Metadata():
            return _shape_of(info.type, seen)
        case inspect.StructType():
            return _shape_of_struct(info, seen)
        case inspect.ListType() | inspect.VarTupleType():
            return _shape_of_each(info.item_type, seen)
        case inspect.DictType():
            return _shape_of_each(info.value_type, seen)
        case inspect.UnionType():
            shapes = [shape for member in info.types if (shape := _shape_of(member, seen))]
            return shapes[0] if len(shapes) == 1 else _shape_by_tag(info, seen)
    return None


def _shape_by_tag(info: inspect.UnionType, seen: dict[type, _Shape]) -> _Shape | None:
    """Of several Structs; None where their tags do not tell which it is."""
    members = [member for member in info.types if isinstance(member, inspect.StructType)]
    fields = {member.tag_field for member in members}
    if len(fields) != 1 or None in fields:
        return None
    shape = _Shape()
    shape.tag_field = fields.pop()
    shape.tagged = {member.tag: _shape_of_struct(member, seen) for member in members}
    return shape


def _shape_of_struct(info: inspect.StructType, seen: dict[type, _Shape]) -> _Shape:
    if info.cls in seen:
        return seen[info.cls]
    shape = seen[info.cls] = _Shape()
    tag_field = () if info.tag_field is None else (info.tag_field,)
    shape.names = frozenset((*tag_field, *(field.encode_name for field in info.fields)))
    for field in info.fields:
        if inner := _shape_of(field.type, seen):
            shape.fields[field.encode_name] = inner
    return shape


def _shape_of_each(info: inspect.Type, seen: dict[type, _Shape]) -> _Shape | None:
    inner = _shape_of(info, seen)
    if inner is None:
        return None
    shape = _Shape()
    shape.each = inner
    return shape


def _collect(shape: _Shape, data: object, path: tuple[str | int, ...], found: list[Fault]) -> None:
    if len(found) >= MAX_FAULTS:
        return
    shape = _named(shape, data)
    if shape.each is not None:
        for step, value in _values(data):
            _collect(shape.each, value, (*path, step), found)
    elif isinstance(data, dict) and shape.names is not None:
        if not data.keys() <= shape.names:
            unknown = sorted(data.keys() - shape.names)
            found += [Fault(pointer=pointer(*path, name), detail=_UNKNOWN) for name in unknown]
        for name, inner in shape.fields.items():
            if name in data:
                _collect(inner, data[name], (*path, name), found)


def _named(shape: _Shape, data: object) -> _Shape:
    """Of several the one that its tag names; else the shape itself."""
    tag = data.get(shape.tag_field) if shape.tag_field is not None and isinstance(data, dict) else None
    return shape.tagged.get(tag, shape) if isinstance(tag, str) else shape


def _values(data: object) -> list[tuple[str | int, object]]:
    if isinstance(data, dict):
        return list(data.items())
    return list(enumerate(data)) if isinstance(data, list) else []
