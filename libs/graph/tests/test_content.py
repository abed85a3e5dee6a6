"""Canonical bytes, digests, and contents that become Structs."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polis.graph import GraphFaults, builtin, canonical, check_component, digest, read_component, read_graph


def test_the_digest_does_not_depend_on_the_order_of_keys_or_the_spelling_of_numbers():
    assert canonical({"b": 1.0, "a": [True, None, "€"]}) == '{"a":[true,null,"€"],"b":1}'.encode()
    assert digest({"a": 1, "b": 2}) == digest({"b": 2.0, "a": 1})


@given(st.recursive(st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(st.characters(exclude_categories=["Cs"])),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)))  # fmt: skip
def test_canonical_bytes_read_back_as_the_same_value(value: object):
    assert msgspec.json.decode(canonical(value)) == value


@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        ({"a": [1, float("nan")]}, "/a/1"),
        ({"a/b": float("inf")}, "/a~1b"),
        ({"a": 2**53}, "/a"),
        ({"a": 1e20}, "/a"),
        (["\ud800"], "/0"),
        ({"\udfff": 1}, ""),
        ({1: 2}, ""),
        ({"a": {1, 2}}, "/a"),
    ],
)
def test_what_json_readers_would_not_agree_on_is_refused_with_its_pointer(value: object, pointer: str):
    with pytest.raises(GraphFaults) as caught:
        canonical(value)

    assert [f.pointer for f in caught.value.faults] == [pointer]


def test_nesting_without_end_is_refused():
    value: list[object] = []
    for _ in range(10_000):
        value = [value]

    with pytest.raises(GraphFaults):
        canonical(value)


def test_a_graph_is_read_with_every_wrong_missing_and_unknown_field_named():
    content = {
        "nodes": {"A": {"component": "map"}, "b": {"config": 3}, "c\n": {"component": "map"}},
        "edgs": [],
        "timeout_s": 0,
    }

    with pytest.raises(GraphFaults) as caught:
        read_graph(content)

    assert {"/nodes/b/component", "/nodes/b/config", "/edgs", "/timeout_s"} <= {
        f.pointer for f in caught.value.faults
    }
    assert len(caught.value.faults) >= 6


def test_a_component_reads_back_as_it_was_written():
    for component in builtin.components().values():
        content = msgspec.to_builtins(component)
        assert read_component(content) == component
        check_component(component)
