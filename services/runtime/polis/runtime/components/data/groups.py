"""The component `group`."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from polis.runtime.component import Inputs, Step, component
from polis.runtime.components.data.lists import grouped, the_list, values


class Config(Struct, frozen=True):
    """What the items of a group have in common."""

    by: str


@component("group")
async def group(step: Step, inputs: Inputs) -> None:
    items = the_list(inputs)
    keys = await values(step, items, msgspec.convert(step.config, Config).by)
    step.emit(
        "out", [{"key": key, "items": [items[place] for place in places]} for key, places in grouped(keys)]
    )
