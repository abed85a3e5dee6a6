"""Components that compute with CEL: map, filter, each and expression."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
from msgspec import Struct

from polis.runtime.component import Inputs, Step, StepFailed, component
from polis.runtime.components.data.lists import TOLD_EVERY, Pace
from polis.runtime.components.expressions import compiled

MESSAGE = ("item",)
LIST_ITEM = ("item", "index")
OPERANDS = ("a", "b", "c", "d")


class Mapped(Struct, frozen=True):
    """Configuration of map and each: one expression, or one for each field of a new object."""

    expression: str = ""
    fields: dict[str, str] = {}

    def rule(self, variables: tuple[str, ...]) -> Callable[[Mapping[str, object]], object]:
        """What turns the variables into the new message."""
        if not self.fields:
            return compiled(self.expression, variables).value
        parts = [(name, compiled(source, variables)) for name, source in self.fields.items()]
        return lambda values: {name: part.value(values) for name, part in parts}


class Computed(Struct, frozen=True):
    """Configuration of filter and expression."""

    expression: str


def _mapped(config: Mapping[str, object]) -> Mapped:
    return msgspec.convert(config, Mapped)


def _source(config: Mapping[str, object]) -> str:
    return msgspec.convert(config, Computed).expression


@component("map")
def map_(step: Step, inputs: Inputs) -> None:
    step.emit("out", _mapped(step.config).rule(MESSAGE)({"item": inputs["in"]}))


@component("filter")
def filter_(step: Step, inputs: Inputs) -> None:
    item = inputs["in"]
    kept = compiled(_source(step.config), MESSAGE).holds({"item": item})
    step.emit("out" if kept else "rest", item)


@component("each")
async def each(step: Step, inputs: Inputs) -> None:
    items = inputs["in"]
    if not isinstance(items, list):
        raise StepFailed("each.not_a_list", f"each takes a list, not {type(items).__name__}")
    rule = _mapped(step.config).rule(LIST_ITEM)
    results: list[object] = []
    pace = Pace()
    for index, item in enumerate(items):
        results.append(rule({"item": item, "index": index}))
        if len(results) % TOLD_EVERY == 0 or len(results) == len(items):
            step.progress(len(results), len(items))
        await pace.let_on()
    step.emit("out", results)


@component("expression")
def expression(step: Step, inputs: Inputs) -> None:
    operands = {name: inputs.get(name) for name in OPERANDS}
    step.emit("out", compiled(_source(step.config), OPERANDS).value(operands))
