"""What a component says of what runs it, and the examples that the guide gives."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from polis.graph import GraphFaults, builtin, check_component, read_component, unrunnable

GUIDE = Path(__file__).parent.parent.parent.parent / "docs" / "components.md"
EXAMPLES = [
    json.loads(text)
    for text in re.findall(r"```json\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    if '"execution"' in text
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["key"])
def test_the_components_of_the_guide_are_components_that_something_runs(example):
    component = read_component(example)

    check_component(component)
    assert list(unrunnable(component)) == []


def test_the_guide_shows_both_kinds():
    assert [example["execution"]["type"] for example in EXAMPLES] == ["javascript", "external"]


def test_what_ships_is_run_by_the_runtime_and_says_so_by_saying_nothing():
    for component in builtin.components().values():
        assert component.execution is None
        assert list(unrunnable(component)) == []


@pytest.mark.parametrize(
    "execution",
    [
        {"type": "python", "source": "x"},
        {"type": "javascript"},
        {"type": "javascript", "source": "x", "timeout_s": 11},
        {"type": "javascript", "source": "x", "memory_mb": 1024},
        {"type": "external", "attempts": 0},
        {"type": "external", "url": "http://10.0.0.1"},
        "javascript",
    ],
)
def test_an_execution_that_is_none_is_refused_at_its_place(execution):
    with pytest.raises(GraphFaults) as caught:
        read_component({"key": "mine", "title": "", "execution": execution})

    assert all(fault.pointer.startswith("/execution") for fault in caught.value.faults)
