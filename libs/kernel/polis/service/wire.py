"""Problems as they travel (RFC 9457, one flat JSON object) on NATS and HTTP alike, and msgspec's errors as problems."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, ClassVar

import msgspec
from msgspec import Struct, inspect

from polis.proto.contract import Problem, problem_of_type
from polis.proto.problems import Fault, Invalid

if TYPE_CHECKING:
    from collections.abc import Mapping

PROBLEM_JSON = "application/problem+json"
MAX_FAULTS = 100
"""Faults that one answer lists; whoever sends more wrong fields than that has enough to mend."""
MEMBERS = ("type", "title", "status", "detail", "instance")
"""What RFC 9457 says of every problem; a problem's own fields stand beside them under other names."""


class RemoteProblem(Problem, frozen=True):
    """A problem that this version of the contract does not know. `fields` are its own, as they came."""

    type: str  # type: ignore[misc]  # of the instance here: a class that we lack cannot tell it
    title: str  # type: ignore[misc]
    status: int  # type: ignore[misc]
    fields: dict[str, object]
    retryable: ClassVar[bool] = False


class _Head(Struct):
    type: str = "about:blank"
    title: str = ""
    status: int = 500
    detail: str = ""


def encode_problem(problem: Problem, *, detail: str = "", instance: str = "") -> bytes:
    """The problem as JSON: type, title, status, detail and instance where there are any, and its own fields."""
    body: dict[str, object] = {"type": problem.type, "title": problem.title, "status": problem.status}
    if detail:
        body["detail"] = detail
    if instance:
        body["instance"] = instance
    own = problem.fields if isinstance(problem, RemoteProblem) else msgspec.structs.asdict(problem)
    return msgspec.json.encode(body | own)


def decode_problem(payload: bytes) -> tuple[Problem, str]:
    """The problem and its detail. One that cannot be read as its declared type comes as a RemoteProblem."""
    try:
        head = msgspec.json.decode(payload, type=_Head)
    except msgspec.DecodeError:
        return RemoteProblem("about:blank", "The answer is no problem that can be read.", 500, {}), ""
    declared = problem_of_type(head.type)
    if declared is not None:
        try:
            return msgspec.json.decode(payload, type=declared), head.detail
        except msgspec.ValidationError:
            pass  # its fields changed between two versions: type, status and the raw fields still tell
    fields = msgspec.json.decode(payload, type=dict[str, object])
    own = {name: value for name, value in fields.items() if name not in MEMBERS}
    return RemoteProblem(head.type, head.title, head.status, own), head.detail


def invalid_from_msgspec(error: msgspec.ValidationError, prefix: str = "") -> Invalid:
    """The one fault in a msgspec error: "Expected `int`, got `str` - at `$.a.b[0]`" is at `<prefix>/a/b/0`.

    msgspec says `[...]` for the value of any key of a mapping: then the pointer ends at the mapping.
    """
    text, _, place = str(error).rpartition(" - at `")
    if not text:
        text, place = place, "$`"
    place = place.removesuffix("`").removeprefix("key` in `")
    steps, unsaid = _steps(place)
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


def _steps(place: str) -> tuple[list[str], str]:
    """`$.a.b[0]` as steps, and what follows from the first `[...]` on."""
    exact, dots, rest = place.partition("[...]")
    steps = exact.removeprefix("$").replace("[", ".").replace("]", "").split(".")
    return [step for step in steps if step], dots + rest


class _Shape:
    """What to look into: a Struct's fields, or every value of a list or mapping. None where anything may stand."""

    __slots__ = ("each", "fields", "names")

    def __init__(self) -> None:
        self.names: frozenset[str] | None = None
        self.fields: dict[str, _Shape] = {}
        self.each: _Shape | None = None


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
            return shapes[0] if len(shapes) == 1 else None
    return None


def _shape_of_struct(info: inspect.StructType, seen: dict[type, _Shape]) -> _Shape:
    if info.cls in seen:
        return seen[info.cls]
    shape = seen[info.cls] = _Shape()
    shape.names = frozenset(field.encode_name for field in info.fields)
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
    if shape.each is not None:
        for step, value in _values(data):
            _collect(shape.each, value, (*path, step), found)
    elif isinstance(data, dict) and shape.names is not None:
        unknown = sorted(data.keys() - shape.names)
        found += [Fault(pointer=pointer(*path, name), detail="No such field") for name in unknown]
        for name, inner in shape.fields.items():
            if name in data:
                _collect(inner, data[name], (*path, name), found)


def _values(data: object) -> list[tuple[str | int, object]]:
    if isinstance(data, dict):
        return list(data.items())
    return list(enumerate(data)) if isinstance(data, list) else []
