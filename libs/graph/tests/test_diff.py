"""Differences of two JSON values: applied in order they make the one out of the other."""

from __future__ import annotations

import copy
import json

from hypothesis import given
from hypothesis import strategies as st

from polis.graph import Difference, differences

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "a/b", "~"]),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.sampled_from(["", "a", "b", "a/b", "~1"]), inner, max_size=4)
    ),
    max_leaves=15,
)


def applied(value, changes):
    holder = {"": copy.deepcopy(value)}
    for change in changes:
        steps = [s.replace("~1", "/").replace("~0", "~") for s in change.path.split("/")]
        at = holder
        for step in steps[:-1]:
            at = at[int(step) if isinstance(at, list) else step]
        last = int(steps[-1]) if isinstance(at, list) else steps[-1]
        if change.op != "add":
            assert at[last] == change.old
        if change.op == "remove":
            del at[last]
        elif change.op == "add" and isinstance(at, list):
            at.insert(last, copy.deepcopy(change.value))
        else:
            at[last] = copy.deepcopy(change.value)
    return holder[""]


@given(JSON, JSON)
def test_made_in_order_the_changes_turn_one_value_into_the_other(old, new):
    result = applied(old, differences(old, new))

    assert json.dumps(result, sort_keys=True) == json.dumps(new, sort_keys=True)


@given(JSON)
def test_a_value_does_not_differ_from_itself(value):
    assert differences(value, copy.deepcopy(value)) == []


def test_a_change_names_its_place_and_both_values():
    old = {"nodes": {"a": {"config": {"limit": 3}}, "b": {}}, "tags": ["x", "y", "z"]}
    new = {"nodes": {"a": {"config": {"limit": 4}}, "c": {}}, "tags": ["x", "z"]}

    assert differences(old, new) == [
        Difference("replace", "/nodes/a/config/limit", value=4, old=3),
        Difference("remove", "/nodes/b", old={}),
        Difference("add", "/nodes/c", value={}),
        Difference("remove", "/tags/1", old="y"),
    ]


def test_true_is_not_one_but_one_is_one_point_zero():
    assert differences([True, 1], [1, 1.0]) == [Difference("replace", "/0", value=1, old=True)]
