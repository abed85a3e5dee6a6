"""Lists that components take, and what an expression says of each of their items, without keeping the loop to oneself."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterator, Sequence

import msgspec

from polis.runtime.component import Inputs, Step, StepFailed
from polis.runtime.components.expressions import compiled

MAX_ITEMS = 100_000
"""Items of a list that a component takes."""
TOLD_EVERY = 200
"""Items between two reports of progress."""
_TURN_S = 0.002
"""How long items are computed before others have the loop."""


class Pace:
    """Lets others have the loop whenever a computation has had it for a while: an item takes microseconds, or a second."""

    def __init__(self) -> None:
        self._until = time.monotonic() + _TURN_S

    async def let_on(self) -> None:
        if time.monotonic() >= self._until:
            await asyncio.sleep(0)
            self._until = time.monotonic() + _TURN_S


def the_list(inputs: Inputs, port: str = "in") -> list[object]:
    """The list at a port; StepFailed for what is none, or too long."""
    items = inputs[port]
    if not isinstance(items, list):
        raise StepFailed("list.none", f"`{port}` takes a list, not {type(items).__name__}")
    if len(items) > MAX_ITEMS:
        raise StepFailed("list.too_long", f"a list of {len(items):,} items; {MAX_ITEMS:,} are the most")
    return items


async def values(step: Step, items: Sequence[object], source: str) -> list[object]:
    """What the expression says of each item; the item itself without an expression."""
    if not source:
        return list(items)
    expression = compiled(source)
    results: list[object] = []
    pace = Pace()
    for item in items:
        results.append(expression.value({"item": item}))
        if len(results) % TOLD_EVERY == 0 or len(results) == len(items):
            step.progress(len(results), len(items))
        await pace.let_on()
    return results


def identity(value: object) -> bytes:
    """The same for equal JSON values: 1 and 1.0 are one number, the order of an object's fields says nothing."""
    encoded = msgspec.json.encode(value, order="sorted")
    # Only what has such a number is gone through by hand, at fifty times the cost.
    return msgspec.json.encode(_even(value), order="sorted") if b".0" in encoded else encoded


def rank(value: object) -> tuple[int, object]:
    """What values of any type are ordered by: null, false, true, numbers, texts, then everything else by its JSON."""
    match value:
        case None:
            return 0, 0
        case bool():
            return 1, value
        case int() | float():
            return 2, value
        case str():
            return 3, value
    return 4, identity(value)


def grouped(keys: Sequence[object]) -> Iterator[tuple[object, list[int]]]:
    """Each key with the places that it stands at, in the order in which keys came first."""
    places: dict[bytes, list[int]] = {}
    for place, key in enumerate(keys):
        places.setdefault(identity(key), []).append(place)
    return ((keys[found[0]], found) for found in places.values())


def _even(value: object) -> object:
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _even(item) for key, item in value.items()}
    return [_even(item) for item in value] if isinstance(value, list) else value
