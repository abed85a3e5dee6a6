"""The component `event.emit`: tells the org something, as the event `runtime.run_emitted`."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from polis.runtime.component import Inputs, Step, StepFailed, component
from polis.runtime.components.expressions import compiled

MAX_BYTES = 64 * 1024


class Config(Struct, frozen=True):
    """What the event is about, and what it says; the message itself without an expression."""

    topic: str
    data: str = ""


@component("event.emit")
async def event_emit(step: Step, inputs: Inputs) -> None:
    item, config = inputs["in"], msgspec.convert(step.config, Config)
    data = compiled(config.data).value({"item": item}) if config.data else item
    size = len(msgspec.json.encode(data))
    if size > MAX_BYTES:
        raise StepFailed("event.too_large", f"an event of {size:,} bytes; {MAX_BYTES:,} are the most")
    await step.reach.tell(step.key, config.topic, data)
    step.emit("out", item)
