"""Problems on the wire, and msgspec's errors as faults with pointers."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
import pytest
from msgspec import Meta, Struct

from polis.proto import catalog, graph
from polis.proto.problems import Fault, Internal, Invalid, Overloaded
from polis.service.wire import (
    RemoteProblem,
    decode_problem,
    encode_problem,
    invalid_from_msgspec,
    unknown_fields,
)

NOBODY = UUID(int=7)


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


def test_a_problem_is_one_flat_object_with_its_facts_beside_the_standard_members():
    payload = encode_problem(
        catalog.RevisionConflict(expected=3, actual=4), detail="Somebody was faster.", instance="0af7"
    )

    assert msgspec.json.decode(payload) == {
        "type": "/problems/catalog/revision-conflict",
        "title": "The draft was changed by somebody else since it was read.",
        "status": 409,
        "detail": "Somebody was faster.",
        "instance": "0af7",
        "expected": 3,
        "actual": 4,
    }


def test_detail_and_instance_are_left_out_when_there_are_none():
    assert msgspec.json.decode(encode_problem(Internal())).keys() == {"type", "title", "status"}


@pytest.mark.parametrize(
    "problem",
    [
        Internal(),
        Overloaded(retry_after_s=0.5),
        Invalid(faults=(Fault(pointer="/a", detail="b"),)),
        catalog.ArtifactNotFound(artifact_id=NOBODY),
    ],
)
def test_a_problem_comes_back_as_it_was_with_its_detail(problem):
    assert decode_problem(encode_problem(problem, detail="why")) == (problem, "why")


def test_an_unknown_problem_keeps_its_status_title_and_facts_and_travels_on_unchanged():
    payload = b'{"type":"/problems/x/new","title":"New.","status":418,"detail":"d","tea":"green"}'

    problem, detail = decode_problem(payload)

    assert problem == RemoteProblem("/problems/x/new", "New.", 418, {"tea": "green"})
    assert detail == "d"
    assert msgspec.json.decode(encode_problem(problem, detail=detail)) == msgspec.json.decode(payload)


def test_a_known_problem_whose_fields_do_not_fit_is_kept_as_a_remote_one():
    problem, _ = decode_problem(b'{"type":"/problems/overloaded","title":"T","status":429}')

    assert problem == RemoteProblem("/problems/overloaded", "T", 429, {})


@pytest.mark.parametrize("payload", [b"", b"[]", b"\xff", b'{"status":"no"}'])
def test_what_is_no_problem_at_all_is_a_remote_one_of_status_500(payload):
    problem, detail = decode_problem(payload)

    assert (problem.type, problem.status, detail) == ("about:blank", 500, "")


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
