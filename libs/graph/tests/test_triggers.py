"""Triggers of a graph: what would never fire, or with nothing to run on, is refused where it is written."""

from __future__ import annotations

import pytest

from polis.graph import GraphFaults, check, digest, read_graph
from polis.proto.graph import Component, Port

ANY = Component(key="any", title="", inputs={"in": Port(required=False)}, outputs={"out": Port()})


def graph(**triggers):
    return {
        "nodes": {"n": {"component": "any"}},
        "inputs": {"x": {"target": "n.in", "schema": {"type": "object"}}},
        "triggers": triggers,
    }


def faults_of(content):
    with pytest.raises(GraphFaults) as caught:
        check(read_graph(content), {"any": ANY})
    return {fault.pointer: fault.detail for fault in caught.value.faults}


def test_a_graph_with_every_kind_of_trigger_is_taken():
    content = graph(
        by_hand={"on": {"kind": "manual"}, "input": {"x": {}}},
        nightly={
            "on": {
                "kind": "schedule",
                "cron": "30 2 * * MON-FRI",
                "timezone": "Europe/Berlin",
                "missed": "all",
            },
            "into": "x",
        },
        often={"on": {"kind": "schedule", "every_s": 5}, "into": "x"},
        twice={
            "on": {"kind": "schedule", "at": ["2026-12-24T18:00", "2027-01-01T00:00:30"]},
            "into": "x",
        },
        hook={"on": {"kind": "webhook", "wait_s": 5}, "into": "x"},
        published={
            "on": {
                "kind": "event",
                "type": "catalog.version_published",
                "condition": "event.data.type == 'graph'",
                "debounce_s": 2,
            },
            "into": "x",
            "agent": "sarah",
        },
        after={"on": {"kind": "run_end", "graph": "other", "states": ["failed"]}, "into": "x"},
        said={
            "on": {"kind": "message", "condition": "message.text != ''", "missed": "once"},
            "into": "x",
            "agent": "sarah",
        },
    )

    assert len(read_graph(content).triggers) == 8
    check(read_graph(content), {"any": ANY})
    assert digest(content) != digest(graph())


def test_each_fault_of_a_trigger_is_named_at_its_place():
    faults = faults_of(
        graph(
            both={"on": {"kind": "schedule", "cron": "* * * * *", "every_s": 5}, "into": "x"},
            never={"on": {"kind": "schedule", "cron": "0 0 31 2 *", "timezone": "Mars/Base"}, "into": "x"},
            seconds={"on": {"kind": "schedule", "cron": "0 0 0 1 1 *"}, "into": "x"},
            leap={
                "on": {"kind": "schedule", "at": ["2026-02-29T10:00"], "excluded": ["2026-13-01"]},
                "into": "x",
            },
            ends={
                "on": {"kind": "schedule", "at": ["0001-01-01T00:00"], "excluded": ["9999-12-31"]},
                "into": "x",
            },
            what={
                "on": {"kind": "event", "type": "catalog.nothing", "condition": "event.data.type =="},
                "into": "x",
            },
            said={"on": {"kind": "message", "condition": "event.text == ''"}, "into": "x"},
            misfit={"on": {"kind": "manual"}, "input": {"x": 5, "y": 1}},
            nowhere={"on": {"kind": "manual"}, "into": "z"},
        )
    )

    assert set(faults) == {
        "/triggers/both/on",
        "/triggers/never/on/cron",
        "/triggers/never/on/timezone",
        "/triggers/seconds/on/cron",
        "/triggers/leap/on/at/0",
        "/triggers/leap/on/excluded/0",
        "/triggers/ends/on/at/0",
        "/triggers/ends/on/excluded/0",
        "/triggers/what/on/type",
        "/triggers/what/on/condition",
        "/triggers/said/on/condition",
        "/triggers/said",
        "/triggers/misfit/input/x",
        "/triggers/misfit/input/y",
        "/triggers/nowhere/into",
        "/triggers/nowhere",
    }
    assert "Syntax error" in faults["/triggers/what/on/condition"]


@pytest.mark.parametrize("on", [{}, {"kind": "tide"}, {"kind": "manual", "cron": "* * * * *"}])
def test_an_occasion_that_there_is_not_is_refused(on):
    with pytest.raises(GraphFaults) as caught:
        read_graph(graph(odd={"on": on, "into": "x"}))

    assert all(fault.pointer.startswith("/triggers/odd/on") for fault in caught.value.faults)
