"""Examples of messages, made from their types: the contract's own examples where it gives some, plain values elsewhere."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from msgspec import NODEFAULT, inspect

UUID_EXAMPLE = "019c3f5e-8a00-7c3d-9b1f-2a6d4e5f7081"
TIME_EXAMPLE = "2026-02-09T08:30:00Z"
_PLAIN: dict[type[inspect.Type], Any] = {
    inspect.UUIDType: UUID_EXAMPLE,
    inspect.DateTimeType: TIME_EXAMPLE,
    inspect.BytesType: "aGVsbG8=",
    inspect.BoolType: True,
    inspect.NoneType: None,
    inspect.CustomType: "anything",  # `object`: any JSON value
}


def example(kind: Any, *, full: bool = True) -> Any:
    """A JSON value that the type takes. full: with optional fields too; otherwise only with those that are required.

    ValueError for a text with a pattern whose type gives no example.
    """
    return _of(_info(kind), full=full)


@cache
def _info(kind: Any) -> inspect.Type:
    return inspect.type_info(kind)


def _of(info: inspect.Type, *, full: bool) -> Any:
    match info:
        case inspect.Metadata():
            given = (info.extra_json_schema or {}).get("examples")
            return given[0] if given else _of(info.type, full=full)
        case inspect.StructType():
            tag = {} if info.tag_field is None else {info.tag_field: info.tag}
            return tag | {f.encode_name: _field(f, full=full) for f in info.fields if f.required or full}
        case inspect.UnionType():
            members = [t for t in info.types if not isinstance(t, inspect.NoneType)]
            return _of(members[0], full=full)
        case inspect.DictType():
            return {_of(info.key_type, full=full): _of(info.value_type, full=full)}
        case inspect.ListType() | inspect.VarTupleType():
            return [_of(info.item_type, full=full)]
        case _:
            return _scalar(info)


def _field(field: inspect.Field, *, full: bool) -> Any:
    """The default says most of what a field is like; None and empty ones say nothing."""
    if field.default not in (NODEFAULT, None, "", ()) and not isinstance(field.default, dict):
        return field.default
    return _of(field.type, full=full)


def _scalar(info: inspect.Type) -> Any:
    match info:
        case inspect.StrType():
            return _text(info)
        case inspect.IntType() | inspect.FloatType():
            return _number(info)
        case inspect.LiteralType():
            return info.values[0]
    if type(info) not in _PLAIN or (isinstance(info, inspect.CustomType) and info.cls is not object):
        raise ValueError(f"no example of {info}")
    return _PLAIN[type(info)]


def _text(info: inspect.StrType) -> str:
    text = "text" * max(1, -(-(info.min_length or 0) // 4))
    if info.pattern is not None and not re.search(info.pattern, text):
        raise ValueError(f"a text of pattern {info.pattern} needs examples in its Meta")
    return text[: info.max_length]


def _number(info: inspect.IntType | inspect.FloatType) -> float:
    floor = info.ge if info.ge is not None else info.gt
    if floor is None or floor < 1:
        return 1 if isinstance(info, inspect.IntType) else 1.0
    return floor + 1 if info.gt is not None else floor
