"""Components that say where a run goes on: switch and fail."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from polis.runtime.component import Inputs, Step, StepFailed, component
from polis.runtime.components.expressions import compiled

MAX_DETAIL = 500
"""Characters of what a failure says behind its message."""


class Cases(Struct, frozen=True):
    """Conditions by their number; the first that holds, or every one."""

    cases: tuple[str, ...]
    all: bool = False


class Failing(Struct, frozen=True):
    """What is said of a failure, and for which messages."""

    kind: str
    message: str
    detail: str = ""
    when: str = ""


@component("switch")
def switch(step: Step, inputs: Inputs) -> None:
    item, config = inputs["in"], msgspec.convert(step.config, Cases)
    found = False
    for number, source in enumerate(config.cases, start=1):
        if compiled(source).holds({"item": item}):
            step.emit(f"case{number}", item)
            found = True
            if not config.all:
                return
    if not found:
        step.emit("rest", item)


@component("fail")
def fail(step: Step, inputs: Inputs) -> None:
    item, config = inputs["in"], msgspec.convert(step.config, Failing)
    if config.when and not compiled(config.when).holds({"item": item}):
        step.emit("out", item)
        return
    detail = compiled(config.detail).value({"item": item}) if config.detail else ""
    if not isinstance(detail, str):
        raise StepFailed("fail.not_a_text", "`detail` is a text")
    raise StepFailed(config.kind, f"{config.message}{detail[:MAX_DETAIL]}")
