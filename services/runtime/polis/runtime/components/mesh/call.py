"""The component `service.call`: an operation of the mesh, as whom the run acts as, with the scope that it wants and no other."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from polis.graph.formats.names import callable_operations
from polis.runtime.component import Inputs, Step, StepFailed, component

MAX_KEY = 255
"""Characters of an idempotency key."""


class Config(Struct, frozen=True):
    """The operation, and what every call of the node has in common."""

    operation: str
    arguments: dict[str, object] = {}


def _scopes(config: Mapping[str, object]) -> tuple[str, ...]:
    found = callable_operations().get(str(config.get("operation")))
    return (found.scope,) if found is not None else ()


@component("service.call", needs=_scopes)
async def service_call(step: Step, inputs: Inputs) -> None:
    config, given = msgspec.convert(step.config, Config), inputs["in"]
    if not isinstance(given, dict):
        raise StepFailed("call.arguments", f"arguments are an object, not {type(given).__name__}")
    operation = callable_operations()[config.operation]
    if twice := config.arguments.keys() & given.keys():
        raise StepFailed("call.arguments", f"`{min(twice):.100}` is the node's own")
    arguments = {**config.arguments, **given}
    if unknown := arguments.keys() - set(operation.request.__struct_fields__):
        raise StepFailed("call.arguments", f"`{min(unknown):.100}` is no field of it")
    try:
        request = msgspec.convert(arguments, operation.request)
    except msgspec.ValidationError as error:
        raise StepFailed("call.arguments", str(error)[:500]) from None
    answer = await step.reach.call(request, key=key_of(step) if operation.idempotent else "")
    step.emit("out", msgspec.to_builtins(answer))


def key_of(step: Step) -> str:
    """The step's key, or its digest where it is longer than a key may be."""
    return step.key if len(step.key) <= MAX_KEY else hashlib.sha256(step.key.encode()).hexdigest()
