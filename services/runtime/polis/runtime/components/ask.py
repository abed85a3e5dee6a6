"""The component `ask`: a wait that people bring the outcome of. What becomes of it stands in polis.runtime.asks."""

from __future__ import annotations

import msgspec

from polis.proto.contract import EARLIEST
from polis.runtime.asks import judge
from polis.runtime.asks.opening import KIND
from polis.runtime.asks.spec import Config, spec, templates
from polis.runtime.component import Inputs, Step, Wait, waiting
from polis.runtime.components.mustache import render
from polis.runtime.components.worker import off_loop


@waiting("ask")
async def ask(step: Step, inputs: Inputs) -> Wait:
    config, value = msgspec.convert(step.config, Config), inputs["in"]
    rendered = await off_loop(_rendered, config, value)
    asked = spec(config, value, rendered)
    late = judge.default_answer(asked, EARLIEST)
    emitted = None if late is None else judge.outcome(asked, late).emitted
    return Wait(KIND, due_s=config.timeout_s, late=emitted, data=asked)


def _rendered(config: Config, value: object) -> dict[str, str]:
    return {template: render(template, value, lambda text: text) for template in templates(config)}
