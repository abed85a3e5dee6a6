"""Rows as Structs: made directly where the columns are the fields, converted where a field nests or narrows."""

from __future__ import annotations

import types
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from inspect import Parameter, signature
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)
from uuid import UUID

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")

_AS_THEY_COME = frozenset(
    (
        bool,
        int,
        float,
        str,
        bytes,
        UUID,
        datetime,
        date,
        time,
        timedelta,
        Decimal,
        type(None),
        object,
        Any,
        list,
        dict,
    )
)
"""Types that PostgreSQL's driver already makes of a column."""


def to_rows(kind: type[T], records: Sequence[Any], *, skip: int = 0) -> list[T]:
    """Every row as `kind`: a Struct whose fields are named like the columns, or a scalar for a single column.

    skip: how many columns in front are not meant.
    """
    if not records:
        return []
    columns = tuple(records[0].keys())[skip:]
    make = _maker(kind, columns)  # type: ignore[arg-type] # types are hashable
    return [make(record[skip:]) for record in records] if skip else [make(record) for record in records]


def to_row(kind: type[T], records: Sequence[Any]) -> T | None:
    """The first row as `kind`; None without one."""
    return to_rows(kind, records[:1])[0] if records else None


@lru_cache(maxsize=2048)
def _maker(kind: type[Any], columns: tuple[str, ...]) -> Callable[[Sequence[Any]], Any]:
    if not (isinstance(kind, type) and issubclass(kind, Struct)):
        return lambda values: msgspec.convert(values[0], kind)
    fields = kind.__struct_fields__
    unknown = set(columns) - set(fields)
    if unknown:
        raise TypeError(f"{kind.__name__} has no field for {', '.join(sorted(unknown))}")
    if not all(_comes_as(hint) for hint in get_type_hints(kind, include_extras=True).values()):
        return lambda values: msgspec.convert(dict(zip(columns, values, strict=True)), kind)
    positional = [
        n for n, p in signature(kind).parameters.items() if p.kind is Parameter.POSITIONAL_OR_KEYWORD
    ]
    if columns == tuple(positional[: len(columns)]):
        return lambda values: kind(*values)
    return lambda values: kind(**dict(zip(columns, values, strict=True)))


def _comes_as(hint: Any) -> bool:
    """Whether a column's value is the field's value, with nothing to convert."""
    origin = get_origin(hint)
    if origin is Annotated:
        return _comes_as(get_args(hint)[0])
    if origin in (Union, types.UnionType):
        return all(_comes_as(arm) for arm in get_args(hint))
    if origin is list:
        return _comes_as(get_args(hint)[0])
    if origin is dict:
        return get_args(hint)[0] is str and get_args(hint)[1] in (object, Any)
    return origin is Literal or hint in _AS_THEY_COME
