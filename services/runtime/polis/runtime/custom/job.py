"""Components whose work is done outside: each message is a job, which waits until a worker has brought its outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from polis.proto.graph import JsonSchema
from polis.runtime.component import Implementation, Inputs, Step, Wait

if TYPE_CHECKING:
    from polis.proto.graph import Component, External

KIND = "job"
MAX_SCHEMAS = 8_192
"""Bytes of schemas that lie with every job."""


class Offer(Struct, frozen=True):
    """What the wait of a job holds, for whoever claims it. schemas: of its outputs, as far as they are short; the engine looks, too."""

    key: str
    config: dict[str, object]
    inputs: dict[str, object]
    outputs: tuple[str, ...]
    lease_s: float
    attempts: int
    schemas: dict[str, JsonSchema] = {}


def implementation(component: Component, execution: External) -> Implementation:
    outputs = tuple(component.outputs)
    schemas = {port: given.schema for port, given in component.outputs.items() if given.schema}
    if len(msgspec.json.encode(schemas)) > MAX_SCHEMAS:
        schemas = {}

    def wait(step: Step, inputs: Inputs) -> Wait:
        offer = Offer(
            step.key, dict(step.config), dict(inputs), outputs, execution.lease_s, execution.attempts, schemas
        )
        return Wait(KIND, component.key, due_s=execution.timeout_s, data=offer)

    return Implementation(component, waiting=wait)
