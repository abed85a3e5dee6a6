"""The component `event.emit`: tells the org something, as the event `runtime.run_emitted`."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from polis.proto.problems import Fault
from polis.runtime.component import Inputs, Step, StepFailed, component
from polis.runtime.components.expressions import compiled, faults

MAX_BYTES = 64 * 1024


class Config(Struct, frozen=True):
    """What the event is about, and what it says; the message itself without an expression."""

    topic: str
    data: str = ""


def _faults(config: Mapping[str, object]) -> tuple[Fault, ...]:
    source = msgspec.convert(config, Config).data
    return faults(source, "/data") if source else ()


@component("event.emit", check=_faults)
async def event_emit(step: Step, inputs: Inputs) -> None:
    item, config = inputs["in"], msgspec.convert(step.config, Config)
    data = compiled(config.data).value({"item": item}) if config.data else item
    size = len(msgspec.json.encode(data))
    if size > MAX_BYTES:
        raise StepFailed("event.too_large", f"an event of {size:,} bytes; {MAX_BYTES:,} are the most")
    await step.reach.tell(step.key, config.topic, data)
    step.emit("out", item)
