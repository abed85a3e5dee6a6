"""What is wrong with an input, with JSON pointers."""

from __future__ import annotations

from typing import Annotated

import msgspec
import pytest
from msgspec import Meta, Struct

from polis.proto import catalog, graph, names
from polis.proto.problems import Fault
from polis.service.faults import faults_in, invalid_from_msgspec, unknown_fields


class Inner(Struct):
    count: Annotated[int, Meta(ge=0)]
    label: str = ""


class Outer(Struct):
    inner: Inner
    many: list[Inner] = []
    named: dict[str, Inner] = {}
    maybe: Inner | None = None
    free: dict[str, object] = {}


def fault_of(body: bytes, prefix: str = "") -> Fault:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(body, type=Outer)
    (fault,) = invalid_from_msgspec(caught.value, prefix).faults
    return fault


@pytest.mark.parametrize(
    ("body", "pointer", "detail"),
    [
        (b'{"inner":{"count":"x"}}', "/inner/count", "Expected `int`, got `str`"),
        (b'{"inner":{"count":1},"many":[{"count":1},{"count":-1}]}', "/many/1/count", "Expected `int` >= 0"),
        (b"{}", "/inner", "Object missing required field `inner`"),
        (b'{"inner":{}}', "/inner/count", "Object missing required field `count`"),
        (b"[]", "", "Expected `object`, got `array`"),
        (b'{"inner":{"count":1},"maybe":3}', "/maybe", "Expected `object | null`, got `int`"),
        (
            b'{"inner":{"count":1},"named":{"a":{"count":"x"}}}',
            "/named",
            "Expected `int`, got `str` (in a value: `[...].count`)",
        ),
    ],
)
def test_a_msgspec_error_becomes_a_fault_at_its_pointer(body, pointer, detail):
    assert fault_of(body) == Fault(pointer=pointer, detail=detail)


def test_a_prefix_says_where_in_the_request_the_value_stood():
    assert fault_of(b'{"inner":{"count":"x"}}', "/content").pointer == "/content/inner/count"


def test_every_unknown_field_is_named_at_any_depth():
    data = {
        "inner": {"count": 1, "colour": 1},
        "many": [{"count": 1}, {"count": 1, "a/b": 2}],
        "named": {"x~y": {"count": 1, "z": 0}},
        "maybe": {"count": 1, "q": 0},
        "free": {"anything": {"goes": 1}},
        "extra": 1,
    }

    assert sorted(fault.pointer for fault in unknown_fields(Outer, data)) == [
        "/extra",
        "/inner/colour",
        "/many/1/a~1b",
        "/maybe/q",
        "/named/x~0y/z",
    ]


class Call(Struct, tag_field="kind", tag="call"):
    number: str


class Visit(Struct, tag_field="kind", tag="visit"):
    at: Inner


class Plan(Struct):
    first: Call | Visit
    then: list[Call | Visit] = []
    last: Visit | None = None


def test_of_several_the_one_that_its_tag_names_is_looked_into():
    data = {
        "first": {"kind": "call", "number": "1", "numbers": "2"},
        "then": [
            {"kind": "visit", "at": {"count": 1, "colour": 1}, "number": "1"},
            {"kind": "other", "x": 1},
            3,
        ],
        "last": {"kind": "visit", "at": {"count": 1}},
    }

    pointers = [fault.pointer for fault in unknown_fields(Plan, data)]

    assert pointers == ["/first/numbers", "/then/0/number", "/then/0/at/colour"]


def test_data_of_the_wrong_shape_has_no_unknown_fields_because_decoding_refuses_it_anyway():
    assert unknown_fields(Outer, {"inner": 3, "many": {"a": 1}, "named": [1], "maybe": None}) == []


def test_a_graph_is_searched_through_its_mappings():
    data = {
        "nodes": {"read": {"component": "log", "retry": {"attempts": 1, "speed": 2}}},
        "edges": [{"from": 1}],
    }

    pointers = [fault.pointer for fault in unknown_fields(graph.Graph, data)]

    assert pointers == ["/nodes/read/retry/speed", "/edges/0/from"]


def test_the_number_of_faults_is_bounded():
    assert len(unknown_fields(Inner, {f"f{n}": 0 for n in range(1000)})) == 100


def test_every_wrong_missing_and_unknown_field_is_named_at_once():
    data = {
        "many": [{"count": "x"}, {"count": 1, "label": 2}],
        "named": {"a/b": {"count": -1}, "ok": {"count": 1}},
        "maybe": {"colour": 1},
        "extra": None,
    }

    assert {fault.pointer: fault.detail for fault in faults_in(Outer, data)} == {
        "/inner": "Required, and missing",
        "/many/0/count": "Expected `int`, got `str`",
        "/many/1/label": "Expected `str`, got `int`",
        "/named/a~1b/count": "Expected `int` >= 0",
        "/maybe/count": "Required, and missing",
        "/maybe/colour": "No such field",
        "/extra": "No such field",
    }


def test_what_fits_has_no_faults():
    assert faults_in(Outer, {"inner": {"count": 1}, "maybe": None, "free": {"any": [1]}}) == []


def test_a_whole_is_blamed_only_when_its_parts_are_well():
    nodes = {"nodes": {}}

    assert faults_in(graph.Graph, nodes) == [
        Fault(pointer="/nodes", detail="Expected `object` of length >= 1")
    ]


def test_a_wrong_key_of_a_mapping_is_named_by_itself():
    data = {"nodes": {"Bad Name": {"component": "log"}}}

    (fault,) = faults_in(graph.Graph, data)

    assert fault.pointer == "/nodes/Bad Name"


def test_data_of_another_shape_is_one_fault():
    assert [f.pointer for f in faults_in(Outer, [1])] == [""]
    assert [f.pointer for f in faults_in(Outer, {"inner": [], "maybe": "x"})] == ["/inner", "/maybe"]


def test_a_real_request_is_told_all_that_is_wrong_with_it():
    data = {"type": "planet", "key": "UPPER", "content": [], "colour": "red"}

    pointers = [fault.pointer for fault in faults_in(catalog.CreateResource, data)]

    assert pointers == ["/type", "/key", "/content", "/colour"]


def test_faults_of_a_huge_input_are_bounded():
    assert len(faults_in(Outer, {"inner": {"count": 1}, "many": [{}] * 10_000})) == 100


@pytest.mark.parametrize("rule", names.IN_WORDS)
def test_rules_of_names_are_told_in_words_and_other_patterns_as_they_are(rule):
    bad = {"a": "\u202e", "b": "?"}
    kind = msgspec.defstruct(
        "Named", [("a", Annotated[str, Meta(pattern=rule)]), ("b", Annotated[str, Meta(pattern="^x$")])]
    )

    assert faults_in(kind, bad) == [
        Fault("/a", f"Expected {names.IN_WORDS[rule]}"),
        Fault("/b", "Expected `str` matching regex '^x$'"),
    ]
