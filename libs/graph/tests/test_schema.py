"""JSON Schemas: what is refused, what a fault says, and what two ports know of each other."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polis.graph import GraphFaults, compiled, schema_faults
from polis.graph.fit import Misfit, fits

TEXT, NUMBER, INTEGER = {"type": "string"}, {"type": "number"}, {"type": "integer"}


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "https://example.org/x"},
        {"$ref": "file:///etc/passwd"},
        {"properties": {"a": {"$ref": "other.json"}}},
        {"$dynamicRef": "#x"},
        {"$id": "https://example.org/"},
        {"$schema": "http://json-schema.org/draft-07/schema#"},
        {"unevaluatedProperties": False},
        {"$ref": "#/$defs/nowhere"},
        {"anyOf": [TEXT], "$ref": "#/anyOf/²"},
        {"anyOf": [TEXT], "$ref": "#/anyOf/" + "9" * 5000},
        {"$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}, "$ref": "#/$defs/a"},
        {"pattern": "(a)\\1"},
        {"type": "strin"},
        True,
        [],
    ],
)
def test_a_schema_that_fetches_loops_or_is_none_is_refused(schema: object):
    assert schema_faults(schema)


def test_references_that_double_at_each_level_are_refused_before_they_are_followed():
    defs = {f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(40)}

    assert schema_faults({"$defs": {**defs, "d40": TEXT}, "$ref": "#/$defs/d0"})


def test_local_references_and_data_that_looks_like_one_are_taken():
    assert schema_faults({"$defs": {"t": TEXT}, "properties": {"a": {"$ref": "#/$defs/t"}}}) == ()
    assert schema_faults({"const": {"$ref": "https://example.org"}, "properties": {"$id": TEXT}}) == ()


def test_a_pattern_that_backtracks_elsewhere_takes_linear_time():
    schema = compiled({"pattern": "^(a+)+$"})

    started = time.process_time()
    accepted = schema.accepts("a" * 100_000 + "!")

    assert not accepted
    assert time.process_time() - started < 1.0


def test_faults_point_at_the_field_and_do_not_repeat_the_value():
    schema = compiled({"properties": {"a": TEXT, "b": {}}, "required": ["b"], "additionalProperties": False})

    faults = schema.faults({"a": 4711, "c/d": 1}, "input")

    assert {f.pointer: f.detail for f in faults} == {
        "/input/b": "required",
        "/input/a": 'the value is not of type "string"',
        "/input/c~1d": "unknown field",
    }


def test_a_schema_is_compiled_once():
    assert compiled({"type": "string", "maxLength": 3}) is compiled({"maxLength": 3, "type": "string"})
    with pytest.raises(GraphFaults):
        compiled({"type": 1})


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (TEXT, {}),
        (INTEGER, NUMBER),
        (TEXT, {"type": ["string", "null"]}),
        ({"enum": ["a"]}, {"enum": ["a", "b"]}),
        ({"const": 1}, INTEGER),
        ({"type": "array", "items": INTEGER}, {"type": "array", "items": NUMBER}),
        (TEXT, {"anyOf": [INTEGER, TEXT]}),
        ({"anyOf": [INTEGER, TEXT]}, {"anyOf": [TEXT, NUMBER]}),
        (
            {"type": "object", "properties": {"a": TEXT, "b": TEXT}, "required": ["a"]},
            {"type": "object", "properties": {"a": TEXT}, "required": ["a"]},
        ),
        (TEXT, {"type": "string", "description": "x", "items": {}}),
    ],
)
def test_what_always_fits_is_proven(source: dict[str, object], target: dict[str, object]):
    assert fits(source, target) == "proven"


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ({}, TEXT),
        (NUMBER, INTEGER),
        (TEXT, {"type": "string", "maxLength": 3}),
        ({"type": "object"}, {"type": "object", "required": ["a"]}),
        ({"type": "array"}, {"type": "array", "items": TEXT}),
        ({"type": "object", "properties": {}}, {"type": "object", "properties": {"a": TEXT}}),
        ({"$ref": "#/$defs/x"}, TEXT),
        (TEXT, {"not": TEXT}),
        (TEXT, {"enum": ["a"]}),
    ],
)
def test_what_only_running_can_tell_is_unknown(source: dict[str, object], target: dict[str, object]):
    assert fits(source, target) == "unknown"


@pytest.mark.parametrize(
    ("source", "target", "named"),
    [
        (TEXT, INTEGER, "the value may be string but must be integer"),
        ({"type": ["string", "null"]}, TEXT, "the value may be null but must be string"),
        ({"enum": ["a", "c"]}, {"enum": ["a", "b"]}, "not among"),
        ({"const": True}, {"enum": [False]}, "not among"),
        ({"type": "array", "items": TEXT}, {"items": INTEGER}, "/*"),
        (TEXT, {"anyOf": [INTEGER, {"type": "null"}]}, "string"),
        ({"properties": {"a": TEXT}}, {"required": ["a"]}, "/a may be missing"),
        ({"type": "object", "additionalProperties": False}, {"required": ["a"]}, "/a is always missing"),
        (
            {"properties": {"a": {"properties": {"b": TEXT}}}},
            {"properties": {"a": {"properties": {"b": NUMBER}}}},
            "/a/b",
        ),
        ({"properties": {"a": TEXT}}, {"additionalProperties": False}, "/a is no field there"),
        (TEXT, False, "nothing"),
    ],
)
def test_what_is_stated_and_refused_is_a_misfit(
    source: dict[str, object], target: dict[str, object], named: str
):
    with pytest.raises(Misfit, match=named.replace("*", r"\*")):
        fits(source, target)


_names = st.sampled_from(["a", "b"])
_schemas = st.recursive(
    st.fixed_dictionaries(
        {}, optional={"type": st.sampled_from(["string", "integer", "number", "null", "object", "array"])}
    )
    | st.builds(
        lambda v: {"enum": v}, st.lists(st.sampled_from([1, 1.5, "x", None, True]), min_size=1, max_size=3)
    ),
    lambda inner: (
        st.fixed_dictionaries(
            {"type": st.just("object")},
            optional={
                "properties": st.dictionaries(_names, inner, max_size=2),
                "required": st.lists(_names, unique=True),
                "additionalProperties": st.booleans(),
            },
        )
        | st.builds(lambda i: {"type": "array", "items": i}, inner)
        | st.builds(lambda b: {"anyOf": b}, st.lists(inner, min_size=1, max_size=2))
    ),
    max_leaves=5,
)
_values = st.recursive(
    st.sampled_from([1, 2, 1.0, 1.5, "x", "y", None, True]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_names, inner, max_size=2),
    max_leaves=5,
)


@given(_schemas, _schemas, _values)
def test_nothing_is_called_proven_that_a_value_refutes(
    source: dict[str, object], target: dict[str, object], value: object
):
    """The soundness of the check, against the validator as oracle."""
    try:
        verdict = fits(source, target)
    except Misfit:
        return
    if verdict == "proven" and compiled(source).accepts(value):
        assert compiled(target).accepts(value)
