"""The components `signal` and `status`: what reaches a run from outside, and what it tells of itself."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from polis.runtime.component import Inputs, Step, Wait, waiting
from polis.runtime.components.expressions import compiled
from polis.runtime.signals import queue, told


class Signal(Struct, frozen=True):
    """Configuration of signal."""

    name: str
    timeout_s: float | None = None


class Status(Struct, frozen=True):
    """Configuration of status."""

    name: str
    expression: str = ""


@waiting("signal")
def signal(step: Step, inputs: Inputs) -> Wait:
    config = msgspec.convert(step.config, Signal)
    late = None if config.timeout_s is None else (("timeout", inputs.get("in")),)
    return Wait(queue.KIND, config.name, due_s=config.timeout_s, late=late)


@waiting("status")
def status(step: Step, inputs: Inputs) -> Wait:
    config, item = msgspec.convert(step.config, Status), inputs["in"]
    value = compiled(config.expression).value({"item": item}) if config.expression else item
    return Wait(told.KIND, config.name, late=(("out", item),), data=value)
