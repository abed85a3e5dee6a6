"""Components whose source is JavaScript: each message is a call in a worker process, and what it emits goes on."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING
from uuid import UUID

from polis.javascript import Call, Script, ScriptFailed
from polis.runtime.component import Implementation, Inputs, Step, StepFailed

if TYPE_CHECKING:
    from polis.proto.graph import Component, JavaScript

_LATER = ("unavailable", "overloaded")


def implementation(component: Component, execution: JavaScript) -> Implementation:
    outputs = tuple(component.outputs)
    timeout_s, memory_mb = execution.timeout_s, execution.memory_mb

    async def run(step: Step, inputs: Inputs) -> None:
        # Whose it is, and so whom its realm is shared with, is for who runs it to say.
        script = Script("", execution.source, outputs, timeout_s=timeout_s, memory_mb=memory_mb)
        try:
            emitted = await step.reach.script(script, _call(component, step, inputs))
        except ScriptFailed as failed:
            raise StepFailed(f"script.{failed.kind}", str(failed), retryable=failed.kind in _LATER) from None
        for port, value in emitted:
            step.emit(port, value)

    return Implementation(component, task=run)


def _call(component: Component, step: Step, inputs: Inputs) -> Call:
    """A message by itself with its port; those that are taken together, by port and without one."""
    port, value = (
        next(iter(inputs.items())) if len(inputs) == 1 and component.merge == "any" else (None, dict(inputs))
    )
    if component.pure:
        return Call(port, value, step.config, step.key, _made_ms(step.key))
    return Call(port, value, step.config, step.key, time.time_ns() // 1_000_000, secrets.token_bytes(16))


def _made_ms(key: str) -> int:
    """When the run was made, as its id says (UUIDv7): the same whenever a step is computed again."""
    try:
        return UUID(key.partition("/")[0]).int >> 80
    except ValueError:
        return 0
