"""What is wrong with a configuration that its schema cannot say, by the component: checked when a graph is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from polis.graph.rules import ask, fields, reach
from polis.proto.problems import Fault

Rule = Callable[[Mapping[str, object]], Iterator[Fault]]

RULES: Mapping[str, Rule] = {
    "aggregate": fields.aggregate,
    "ask": ask.faults,
    "http.request": reach.request,
    "pick": fields.pick,
    "service.call": reach.call,
    "text.regex": fields.regex,
    "time.parse": fields.parse,
}
"""Of components that are part of the runtime. A rule gets what fits the component's schema; pointers are relative to it."""
