"""The component `log`: one line in the run's log, and in the service's own. An effect: it is journaled, and said once of a message."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from polis.proto.runtime import LineLevel
from polis.runtime.component import Inputs, Step, component
from polis.runtime.components.expressions import compiled


class Config(Struct, frozen=True):
    """What is said, and the value said with it; without an expression the line holds none of the message."""

    message: str = ""
    expression: str = ""
    level: LineLevel = "info"


@component("log")
def log(step: Step, inputs: Inputs) -> None:
    item = inputs["in"]
    config = msgspec.convert(step.config, Config)
    write = step.log.warning if config.level in ("warning", "error") else step.log.info
    value = compiled(config.expression).value({"item": item}) if config.expression else None
    # `_pii`: nobody but the graph's author knows what the value holds, so exporters drop it.
    with_it = {"value_pii": value} if config.expression else {}
    write("run.logged", message=config.message, key=step.key, **with_it)
    step.say(config.level, config.message, value)
    step.emit("out", item)
