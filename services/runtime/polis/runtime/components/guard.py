"""The component guard: what a model has made does not pass where people have not approved of it."""

from __future__ import annotations

from collections.abc import Mapping

from polis.runtime.component import Inputs, Step, StepFailed, component
from polis.runtime.components.expressions import compiled

VARIABLES = ("item", "model", "sources")
DEFAULT = "!model"


def _condition(config: Mapping[str, object]) -> str:
    return str(config.get("condition", DEFAULT))


@component("guard")
def guard(step: Step, inputs: Inputs) -> None:
    sources = list(step.sources)
    known = {"item": inputs["in"], "model": bool(sources), "sources": sources}
    if not compiled(_condition(step.config), VARIABLES).holds(known):
        made = (
            f"it was made of what a model gave: {', '.join(sources)}"
            if sources
            else "the condition does not hold"
        )
        raise StepFailed("guard.refused", made)
    step.emit("out", inputs["in"])
