"""The component `wait`: a message goes on after some time, or at a moment, by the database's clock."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from polis.runtime.component import Inputs, Step, StepFailed, Wait, waiting
from polis.runtime.components.expressions import compiled

MOST_S = 366 * 24 * 3600.0


class Config(Struct, frozen=True):
    """One of them is set, as its schema says."""

    seconds: float | None = None
    until: str = ""
    expression: str = ""


@waiting("wait")
def wait(step: Step, inputs: Inputs) -> Wait:
    config, item = msgspec.convert(step.config, Config), inputs["in"]
    if config.expression:
        due_s, due_at = _due(compiled(config.expression).value({"item": item}))
    else:
        due_s, due_at = _due(config.until if config.seconds is None else config.seconds)
    return Wait("timer", due_s=due_s, due_at=due_at, late=(("out", item),))


def _due(value: object) -> tuple[float | None, datetime | None]:
    """Seconds or a moment; StepFailed `wait.no_time` for what is neither."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        if 0 <= value <= MOST_S:
            return float(value), None
        raise StepFailed("wait.no_time", f"{value:g} s: from 0 to {MOST_S:,.0f} are possible")
    try:
        moment = msgspec.convert(value, datetime)
    except msgspec.ValidationError:
        raise StepFailed("wait.no_time", f"neither seconds nor a moment (RFC 3339): {value!r:.60}") from None
    if moment.tzinfo is None:
        raise StepFailed("wait.no_time", f"a moment without a zone: {value!r:.60}")
    return None, moment.astimezone(UTC)
