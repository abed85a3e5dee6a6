"""Every message survives the bus: examples and whatever else its type allows, with fields that a later version may add."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from functools import cache

import jsonschema
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct, inspect

from polis.proto.contract import Problem, operation_of, operations
from polis.proto.registry import SERVICES
from polis.service.wire import decode_problem, encode_problem
from polis.specs.examples import example
from polis.specs.schemas import messages, schema_of
from polis.testing.sweeps import sweep

STRUCTS = [cls for entry in SERVICES for cls in messages(entry.name)]
ANSWERS = [o.answer for o in operations() if o.answer not in (None, bytes)]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
PLAIN = {
    inspect.UUIDType: st.uuids().map(str),
    inspect.BytesType: st.binary(max_size=20).map(msgspec.to_builtins),
    inspect.BoolType: st.booleans(),
    inspect.NoneType: st.none(),
    inspect.CustomType: JSON,
}
few = settings(max_examples=3, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])


def values(kind) -> st.SearchStrategy:
    """JSON values that a type takes, made from its bounds and patterns."""
    return _values(inspect.type_info(kind))


def _values(info) -> st.SearchStrategy:
    match info:
        case inspect.Metadata():
            return _values(info.type)
        case inspect.StructType():
            tag = {} if info.tag_field is None else {info.tag_field: st.just(info.tag)}
            required = tag | {f.encode_name: _values(f.type) for f in info.fields if f.required}
            optional = {f.encode_name: _values(f.type) for f in info.fields if not f.required}
            return st.fixed_dictionaries(required, optional=optional)
        case inspect.UnionType():
            return st.one_of(*map(_values, info.types))
        case inspect.ListType() | inspect.VarTupleType():
            least = info.min_length or 0
            return st.lists(
                _values(info.item_type), min_size=least, max_size=max(least, min(info.max_length or 3, 3))
            )
        case inspect.DictType():
            least = info.min_length or 0
            return st.dictionaries(
                _values(info.key_type), _values(info.value_type), min_size=least, max_size=3
            )
    return _scalars(info)


def _scalars(info) -> st.SearchStrategy:
    match info:
        case inspect.StrType():
            return _texts(info)
        case inspect.IntType():
            return st.integers(
                -(2**53) if info.ge is None else info.ge, 2**53 if info.le is None else info.le
            )
        case inspect.FloatType():
            floats = st.floats(
                info.gt if info.ge is None else info.ge, info.le, allow_nan=False, allow_infinity=False
            )
            return floats.filter(lambda number: info.gt is None or number > info.gt)
        case inspect.LiteralType():
            return st.sampled_from(info.values)
        case inspect.DateTimeType():
            return st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat)
    return PLAIN[type(info)]


def _texts(info: inspect.StrType) -> st.SearchStrategy:
    least, most = info.min_length or 0, info.max_length or math.inf
    if info.pattern is None:
        return st.text(min_size=least, max_size=min(most, 20))
    return st.from_regex(info.pattern).filter(lambda text: least <= len(text) <= most)


@cache
def validator(kind) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(schema_of(kind))


@pytest.mark.parametrize("full", [True, False], ids=["full", "required only"])
def test_every_message_has_an_example_that_it_reads_and_writes_unchanged(full):
    assert [kind for kind in [*STRUCTS, *ANSWERS] if not _survives(kind, full=full)] == []


def _survives(kind, *, full: bool) -> bool:
    message = msgspec.json.decode(msgspec.json.encode(example(kind, full=full)), type=kind)
    return msgspec.json.decode(msgspec.json.encode(message), type=kind) == message


@pytest.mark.parametrize("kind", STRUCTS, ids=lambda cls: cls.__name__)
@given(data=st.data())
@few
def test_whatever_a_type_allows_survives_json_and_messagepack_and_is_what_the_schema_says(kind, data):
    message = msgspec.convert(data.draw(values(kind)), kind)

    written = encode_problem(message) if isinstance(message, Problem) else msgspec.json.encode(message)

    assert msgspec.json.decode(written, type=kind) == message
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(message), type=kind) == message
    validator(kind).validate(msgspec.json.decode(written))


def test_fields_that_a_later_version_added_are_ignored_on_the_bus():
    assert [kind for kind in STRUCTS if not _ignores_more(kind)] == []


def _ignores_more(kind: type[Struct]) -> bool:
    today = example(kind)
    later = _with_more(today) if isinstance(today, dict) else today
    return msgspec.convert(later, kind) == msgspec.convert(today, kind)


@sweep([c for c in STRUCTS if issubclass(c, Problem)], lambda cls: cls.__name__)
def test_every_problem_survives_the_wire(kind):
    problem = msgspec.convert(example(kind), kind)

    assert decode_problem(encode_problem(problem, detail="why", instance="trace")) == (problem, "why")


def test_a_request_with_bytes_travels_as_messagepack():
    binary = [o for o in operations() if o.raw_body is not None]

    assert binary
    assert all(operation_of(o.request).binary for o in binary)


def test_an_instance_of_every_request_is_hashable_or_frozen_so_that_no_handler_changes_it():
    assert [cls for cls in STRUCTS if not cls.__struct_config__.frozen] == []


def _with_more(value):
    return {"added_in_a_later_version": {"deep": [1]}, **value}


def test_the_examples_of_the_contract_fit_their_own_types():
    """An example in a `Meta` is not checked by msgspec; here each one is."""
    assert [cls.__name__ for cls in STRUCTS if not _reads(cls)] == []


def _reads(cls: type[Struct]) -> bool:
    try:
        msgspec.convert(example(cls), cls)
    except msgspec.ValidationError:
        return False
    return True
