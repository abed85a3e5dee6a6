"""The component `join`: two lists become pairs of what has the same key."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from polis.runtime.component import Inputs, Step, StepFailed, component
from polis.runtime.components.data.lists import MAX_ITEMS, identity, the_list, values
from polis.runtime.components.worker import off_loop


class Config(Struct, frozen=True):
    """The keys of both lists, and what becomes of what has no partner."""

    left: str
    right: str = ""
    kind: Literal["inner", "left"] = "inner"
    max_items: int = MAX_ITEMS


@component("join")
async def join(step: Step, inputs: Inputs) -> None:
    config = msgspec.convert(step.config, Config)
    left, right = the_list(inputs, "left"), the_list(inputs, "right")
    left_keys = await values(step, left, config.left)
    right_keys = await values(step, right, config.right or config.left)
    step.emit("out", await off_loop(_pairs, config, (left, left_keys), (right, right_keys)))


def _pairs(
    config: Config, left: tuple[list[object], list[object]], right: tuple[list[object], list[object]]
) -> list[object]:
    partners: dict[bytes, list[object]] = {}
    for item, key in zip(*right, strict=True):
        partners.setdefault(identity(key), []).append(item)
    lonely: list[object] = [None] if config.kind == "left" else []
    pairs: list[object] = []
    for item, key in zip(*left, strict=True):
        found = partners.get(identity(key), lonely)
        if len(pairs) + len(found) > config.max_items:
            raise StepFailed("join.too_many", f"more than {config.max_items:,} pairs (max_items)")
        pairs += [{"left": item, "right": other} for other in found]
    return pairs
