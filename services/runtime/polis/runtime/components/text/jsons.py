"""Components json.parse, json.write and json.path."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from polis.graph.formats.jsonpath import Segment, segments
from polis.runtime.component import Inputs, Step, StepFailed, component
from polis.runtime.components.text.given import MAX_CHARS, Budget, the_text
from polis.runtime.components.worker import off_loop

MAX_FOUND = 10_000
MAX_VISITED = 1_000_000
"""Values that a path looks at."""


class Write(Struct, frozen=True):
    """Configuration of json.write."""

    indent: int = 0
    sorted: bool = False


class Path(Struct, frozen=True):
    """Configuration of json.path."""

    path: str
    many: bool = True


@component("json.parse")
async def json_parse(step: Step, inputs: Inputs) -> None:
    step.emit("out", await off_loop(_parsed, the_text(inputs)))


@component("json.write")
async def json_write(step: Step, inputs: Inputs) -> None:
    step.emit("out", await off_loop(_written, inputs["in"], msgspec.convert(step.config, Write)))


@component("json.path")
async def json_path(step: Step, inputs: Inputs) -> None:
    config = msgspec.convert(step.config, Path)
    found = await off_loop(_found, inputs["in"], segments(config.path))
    if config.many:
        step.emit("out", found)
    elif found:
        step.emit("out", found[0])
    else:
        raise StepFailed("json.nothing", "nothing is at this path")


def _parsed(text: str) -> object:
    _count(text)
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError) as error:
        raise StepFailed("json.invalid", f"this is no JSON: {error}"[:300]) from None


_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{},]', re.DOTALL)


def _count(text: str) -> None:
    """StepFailed for what is too deep or has too many values, before any of it is built."""
    budget, depth = Budget("json"), 0
    for token in _TOKENS.finditer(text):
        first = text[token.start()]
        if first in "[{":
            depth += 1
            budget.spend(depth)
        elif first in "]}":
            depth -= 1
        elif first == ",":
            budget.spend(depth)


def _written(value: object, config: Write) -> str:
    order = "sorted" if config.sorted else None
    encoded = msgspec.json.encode(value, order=order)  # type: ignore[arg-type] # one of its three orders
    text = (msgspec.json.format(encoded, indent=config.indent) if config.indent else encoded).decode()
    if len(text) > MAX_CHARS:
        raise StepFailed("json.too_large", f"over {MAX_CHARS:,} characters")
    return text


def _found(value: object, steps: tuple[Segment, ...]) -> list[object]:
    budget = Budget("json", MAX_VISITED)
    nodes = [value]
    for step in steps:
        places = [d for node in nodes for d in _descendants(node, budget)] if step.deep else nodes
        nodes = []
        for place in places:
            chosen = _chosen(place, step.select)
            budget.spend(count=len(chosen) + 1)
            nodes += chosen
    if len(nodes) > MAX_FOUND:
        raise StepFailed("json.too_many", f"more than {MAX_FOUND:,} values are at this path")
    return nodes


def _chosen(value: object, select: str | int | slice | None) -> list[object]:
    if isinstance(value, dict):
        if select is None:
            return list(value.values())
        return [value[select]] if isinstance(select, str) and select in value else []
    if not isinstance(value, list) or isinstance(select, str):
        return []
    if select is None:
        return list(value)
    if isinstance(select, slice):
        return value[select]
    return [value[select]] if -len(value) <= select < len(value) else []


def _descendants(value: object, budget: Budget) -> Iterator[object]:
    """The value and all in it, parents before their children."""
    waiting = [value]
    while waiting:
        place = waiting.pop()
        budget.spend()
        yield place
        children = list(place.values()) if isinstance(place, dict) else place
        if isinstance(children, list):
            waiting += reversed(children)
