"""The component `throttle`: no more than so many messages within any period; the others wait for their turn, or leave."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from polis.runtime.component import Inputs, Step, StepFailed, Wait, waiting
from polis.runtime.throttles.slots import KIND, Rate


class Config(Struct, frozen=True):
    """How many pass within a period, and what becomes of the others."""

    times: int
    per_s: float
    policy: Literal["delay", "drop"] = "delay"


@waiting("throttle")
def throttle(step: Step, inputs: Inputs) -> Wait:
    config, item = msgspec.convert(step.config, Config), inputs["in"]
    try:
        rest = msgspec.Raw(msgspec.json.encode(item) if config.policy == "drop" else b"null")
    except TypeError as error:
        raise StepFailed("throttle.invalid", f"no JSON value: {error}") from None
    rate = Rate(config.times, config.per_s, drops=config.policy == "drop", rest=rest)
    # When it is due is certain once it waits; until then it is looked at as soon as one might pass.
    return Wait(KIND, due_s=config.per_s / config.times, late=(("out", item),), data=rate)
