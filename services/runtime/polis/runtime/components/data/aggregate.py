"""The component `aggregate`: figures of a list, or of each group in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec
from msgspec import Struct

from polis.runtime.component import Inputs, Step, StepFailed, component
from polis.runtime.components.data.lists import grouped, identity, rank, the_list, values
from polis.runtime.components.worker import off_loop

Number = int | float
Op = Literal["count", "sum", "avg", "min", "max", "first", "last", "distinct"]
MAX_SUM = 2**53 - 1
"""Beyond it a whole number is not exact in every reader of JSON."""


class Measure(Struct, frozen=True):
    """One figure: what is computed, of what."""

    op: Op
    value: str = ""


class Config(Struct, frozen=True):
    """Figures by their names, of all items or of each key."""

    measures: dict[str, Measure]
    by: str = ""


@component("aggregate")
async def aggregate(step: Step, inputs: Inputs) -> None:
    items, config = the_list(inputs), msgspec.convert(step.config, Config)
    columns = {name: await values(step, items, m.value) for name, m in config.measures.items()}
    if not config.by:
        step.emit("out", await off_loop(_figures, config, columns, range(len(items))))
        return
    keys = await values(step, items, config.by)
    step.emit("out", await off_loop(_rows, config, columns, keys))


def _rows(config: Config, columns: Mapping[str, list[object]], keys: list[object]) -> list[object]:
    return [{"key": key, **_figures(config, columns, places)} for key, places in grouped(keys)]


def _figures(config: Config, columns: Mapping[str, list[object]], places: Sequence[int]) -> dict[str, object]:
    figures: dict[str, object] = {}
    for name, measure in config.measures.items():
        column = columns[name]
        # What is counted without an expression are the items, null or not.
        taken = [column[place] for place in places if column[place] is not None or not measure.value]
        figures[name] = _OPS[measure.op](taken)
    return figures


def _numbers(taken: list[object]) -> list[Number]:
    numbers = [value for value in taken if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) < len(taken):
        raise StepFailed("aggregate.not_a_number", "a sum and an average are of numbers")
    return numbers


def _sum(taken: list[object]) -> object:
    numbers = _numbers(taken)
    total = sum(numbers) if all(isinstance(n, int) for n in numbers) else _fsum(numbers)
    if isinstance(total, int) and abs(total) > MAX_SUM:
        raise StepFailed("aggregate.too_large", "the sum is over what JSON holds exactly")
    return total


def _fsum(numbers: list[Number]) -> float:
    try:
        return math.fsum(numbers)
    except OverflowError:
        raise StepFailed("aggregate.too_large", "the sum is over what JSON holds") from None


def _avg(taken: list[object]) -> object:
    numbers = _numbers(taken)
    mean = _fsum(numbers) / len(numbers) if numbers else None
    return int(mean) if mean is not None and mean.is_integer() and abs(mean) <= MAX_SUM else mean


def _distinct(taken: list[object]) -> object:
    return len({identity(value) for value in taken})


_OPS: Mapping[Op, Callable[[list[object]], object]] = {
    "count": len,
    "sum": _sum,
    "avg": _avg,
    "min": lambda taken: min(taken, key=rank, default=None),
    "max": lambda taken: max(taken, key=rank, default=None),
    "first": lambda taken: taken[0] if taken else None,
    "last": lambda taken: taken[-1] if taken else None,
    "distinct": _distinct,
}
