"""The component `run`: a run of another graph, with rights no wider than this one's, and its output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.proto import runtime
from polis.runtime.children.ends import KIND
from polis.runtime.component import Inputs, Step, StepFailed, Wait, waiting
from polis.runtime.components.expressions import compiled


class Config(Struct, frozen=True):
    """Which graph, and what it starts with."""

    graph: str
    environment: str = "production"
    number: int | None = None
    expression: str = ""
    scopes: tuple[str, ...] = ()
    timeout_s: float | None = None


def _needs(given: Mapping[str, Any]) -> tuple[str, ...]:
    return msgspec.convert(given, Config).scopes


@waiting("run", needs=_needs)
async def run(step: Step, inputs: Inputs) -> Wait:
    config, item = msgspec.convert(step.config, Config), inputs["in"]
    given = compiled(config.expression).value({"item": item}) if config.expression else item
    if not isinstance(given, dict):
        raise StepFailed("run.no_inputs", "a run starts with an object: values by the names of its inputs")
    request = runtime.StartChild(
        parent_id=UUID(step.key.partition("/")[0]),
        key=step.key,
        graph=config.graph,
        input=given,
        environment=config.environment,
        number=config.number,
    )
    child = await step.reach.call(request, key=step.key)
    return Wait(KIND, str(child.id), due_s=config.timeout_s)
