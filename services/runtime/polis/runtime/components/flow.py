"""Components that move messages without looking into them: passthrough, merge, merge.all, split and collect."""

from __future__ import annotations

from polis.runtime.component import Inputs, Step, StepFailed, component

MAX_ITEMS = 10_000
"""Messages that `collect` holds when its configuration does not say otherwise."""
SPLIT_AT_ONCE = 64
"""Items that `split` sends before it asks for room."""


@component("passthrough")
def passthrough(step: Step, inputs: Inputs) -> None:
    step.emit("out", inputs["in"])


@component("merge")
def merge(step: Step, inputs: Inputs) -> None:
    for message in inputs.values():
        step.emit("out", message)


@component("merge.all")
def merge_all(step: Step, inputs: Inputs) -> None:
    step.emit("out", dict(inputs))


@component("split")
async def split(step: Step, inputs: Inputs) -> None:
    items = inputs["in"]
    if not isinstance(items, list):
        raise StepFailed("split.not_a_list", f"only a list can be split, not {type(items).__name__}")
    for number, item in enumerate(items, start=1):
        step.emit("out", item)
        if number % SPLIT_AT_ONCE == 0:
            await step.room()


@component("collect")
class Collect:
    """Emits the list of all messages, in the order of their arrival, when there are no more; an empty list too."""

    def __init__(self, step: Step) -> None:
        self._step = step
        self._items: list[object] = []
        limit = step.config.get("max_items", MAX_ITEMS)
        self._limit = limit if isinstance(limit, int) else MAX_ITEMS

    def receive(self, inputs: Inputs) -> None:
        if len(self._items) >= self._limit:
            raise StepFailed("collect.too_many", f"more than {self._limit:,} messages arrived (max_items)")
        self._items.append(inputs["in"])

    async def finish(self) -> None:
        self._step.emit("out", self._items)
