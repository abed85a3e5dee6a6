"""The component `sort`."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from polis.runtime.component import Inputs, Step, component
from polis.runtime.components.data.lists import rank, the_list, values
from polis.runtime.components.worker import off_loop


class Config(Struct, frozen=True):
    """What a list is ordered by; by the items themselves when nothing is named."""

    by: tuple[str, ...] = ("",)
    descending: bool = False


@component("sort")
async def sort(step: Step, inputs: Inputs) -> None:
    items, config = the_list(inputs), msgspec.convert(step.config, Config)
    columns = [await values(step, items, source) for source in config.by]
    places = await off_loop(_ordered, columns, descending=config.descending)
    step.emit("out", [items[place] for place in places])


def _ordered(columns: list[list[object]], *, descending: bool) -> list[int]:
    keys = [tuple(map(rank, row)) for row in zip(*columns, strict=True)]
    return sorted(range(len(keys)), key=keys.__getitem__, reverse=descending)
