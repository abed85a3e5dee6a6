"""Moments in requests: within the calendar wherever on earth they are looked at, so that nobody else has to ask.

RFC 3339 writes 9999-12-31T23:59:59-12:00, which in UTC is of no year that Python or PostgreSQL can name.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING

from msgspec import Struct, inspect

from polis.proto import Refused
from polis.proto.contract import EARLIEST, LATEST
from polis.proto.problems import Fault, Invalid
from polis.service.faults import pointer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from polis.proto import Operation

_DETAIL = f"Expected a moment from {EARLIEST.isoformat()} to {LATEST.isoformat()}"


def demand(operation: Operation, request: object) -> None:
    """Refused(Invalid), which names every moment in a decoded request that is out of the calendar."""
    if not takes(operation):
        return
    faults = tuple(Fault(pointer(*steps), _DETAIL) for steps in _astray(request, ()))
    if faults:
        raise Refused(Invalid(faults=faults))


@cache
def takes(operation: Operation) -> bool:
    """Whether a moment may stand anywhere in its requests."""
    return _holds(inspect.type_info(operation.request), set())


def _holds(info: inspect.Type, seen: set[type]) -> bool:
    if isinstance(info, inspect.StructType):
        if info.cls in seen:
            return False
        seen.add(info.cls)
    return isinstance(info, inspect.DateTimeType) or any(_holds(part, seen) for part in _parts(info))


def _parts(info: inspect.Type) -> Iterable[inspect.Type]:
    match info:
        case inspect.Metadata():
            return (info.type,)
        case inspect.UnionType():
            return info.types
        case inspect.ListType() | inspect.VarTupleType():
            return (info.item_type,)
        case inspect.DictType():
            return (info.value_type,)
        case inspect.StructType():
            return (field.type for field in info.fields)
    return ()


def _astray(value: object, at: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    match value:
        case datetime():
            if not EARLIEST <= value <= LATEST:
                yield at
        case Struct():
            for name, field in zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True):
                yield from _astray(getattr(value, name), (*at, field))
        case tuple() | list():
            for index, item in enumerate(value):
                yield from _astray(item, (*at, index))
        case dict():
            for key, item in value.items():
                yield from _astray(item, (*at, key))
