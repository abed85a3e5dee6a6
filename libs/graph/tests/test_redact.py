"""What a schema keeps back is not shown, wherever in a message it stands."""

from __future__ import annotations

import pytest

from polis.graph import schema_faults
from polis.graph.redact import hidden_class, shown

PERSONAL = {"type": "string", "x-data-class": "personal"}
MARK = {"redacted": "personal"}
SECRET = {"redacted": "secret"}


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        ({}, {"a": [1, "x"]}, {"a": [1, "x"]}),
        (PERSONAL, "Ada", MARK),
        ({"x-data-class": "internal"}, "x", "x"),
        ({"x-data-class": "whatever"}, "x", {"redacted": "whatever"}),
        ({"properties": {"name": PERSONAL}}, {"name": "Ada", "n": 1}, {"name": MARK, "n": 1}),
        ({"items": {"properties": {"name": PERSONAL}}}, [{"name": "Ada"}], [{"name": MARK}]),
        ({"prefixItems": [{}, PERSONAL], "items": {}}, [1, 2, 3], [1, MARK, 3]),
        ({"additionalProperties": PERSONAL, "properties": {"n": {}}}, {"n": 1, "x": 2}, {"n": 1, "x": MARK}),
        ({"patternProperties": {"^x": PERSONAL}}, {"x1": 2}, {"x1": MARK}),
        ({"$ref": "#/$defs/p", "$defs": {"p": {"properties": {"a": PERSONAL}}}}, {"a": 1}, {"a": MARK}),
        ({"anyOf": [{"type": "null"}, {"properties": {"a": PERSONAL}}]}, {"a": 1}, {"a": MARK}),
        (
            {},
            {"password": "x", "apiKey": "x", "refresh_token": "x", "userToken": "x", "tokens_used": 1},
            {"password": SECRET, "apiKey": SECRET, "refresh_token": SECRET, "userToken": SECRET, "tokens_used": 1},
        ),
    ],
)  # fmt: skip
def test_a_message_shows_what_its_schema_lets_be_seen(schema, value, expected):
    assert list(schema_faults(schema)) == []

    assert shown(value, [schema]) == expected


def test_every_schema_that_holds_for_a_message_may_keep_something_back():
    assert shown({"a": 1, "b": 2}, [{"properties": {"a": PERSONAL}}, {"properties": {"b": PERSONAL}}]) == {
        "a": MARK,
        "b": MARK,
    }


def test_a_class_is_found_wherever_it_stands():
    assert hidden_class({"items": {"anyOf": [{}, {"properties": {"a": PERSONAL}}]}}) == "personal"
    assert hidden_class({"properties": {"a": {"x-data-class": "public"}}}) is None
