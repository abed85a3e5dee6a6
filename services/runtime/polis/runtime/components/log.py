"""The component `log`: the effect is one structured line, so it is journaled and written once for each message."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from polis.runtime.component import Inputs, Step, component
from polis.runtime.components.expressions import compiled


class Config(Struct, frozen=True):
    """What is said, and the value said with it; without an expression the line holds none of the message."""

    message: str = ""
    expression: str = ""
    level: str = "info"


@component("log")
def log(step: Step, inputs: Inputs) -> None:
    item = inputs["in"]
    config = msgspec.convert(step.config, Config)
    write = step.log.warning if config.level == "warning" else step.log.info
    # `_pii`: nobody but the graph's author knows what the value holds, so exporters drop it.
    value = {"value_pii": compiled(config.expression).value({"item": item})} if config.expression else {}
    write("run.logged", message=config.message, key=step.key, **value)
    step.emit("out", item)
