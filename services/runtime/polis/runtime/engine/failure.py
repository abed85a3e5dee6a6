"""What an exception of an implementation means for its run: a kind for programs, a sentence for people, whether to retry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polis.graph import Schema
from polis.proto import Refused
from polis.runtime.component import StepFailed
from polis.runtime.engine.activation import Failure

if TYPE_CHECKING:
    from collections.abc import Iterable

    from polis.proto.graph import Retry
    from polis.runtime.engine.activation import Activation, Host
    from polis.runtime.engine.stage import Stage

_MAX_MESSAGE = 2000
"""Characters of an error's message that a run keeps."""
NO_JSON = (TypeError, UnicodeError, RecursionError)
"""What encoding a message raises that is no JSON value, holds half a character, or is nested too deeply to be written."""


def failure_of(error: Exception, node: str, host: Host) -> Failure:
    """The failure that an exception is. One that nobody foresaw goes to the log; its text may hold anything."""
    match error:
        case StepFailed():
            return Failure(error.kind, str(error)[:_MAX_MESSAGE], error.retryable, error.step)
        case Refused():
            kind = error.problem.type.removeprefix("/problems/").replace("/", ".")
            return Failure(kind, str(error)[:_MAX_MESSAGE], error.problem.retryable)
        case TimeoutError() | OSError():
            return Failure("step.unavailable", type(error).__name__, retryable=True)
        case _:
            host.crashed(node, error)
            return Failure("step.crashed", f"it raised {type(error).__name__}")


def may_help(retry: Retry, failure: Failure) -> bool:
    """Whether a step that has failed in this way is tried again."""
    if _among(failure.kind, retry.not_on):
        return False
    return _among(failure.kind, retry.on) if retry.on else failure.retryable


def _among(kind: str, patterns: Iterable[str]) -> bool:
    """Whether a kind is one of those: itself, what it begins with (`http.*`), or all (`*`)."""
    return any(
        pattern in (kind, "*") or (pattern.endswith(".*") and kind.startswith(pattern[:-1]))
        for pattern in patterns
    )


def misfits(stage: Stage, messages: Iterable[tuple[int, object]]) -> Failure | None:
    """Why one of these messages, by their wires, is none that its port takes."""
    for wire, value in messages:
        check = stage.checks[wire]
        wrong = None if check is None else misfit(check, stage.ports[wire], value)
        if wrong is not None:
            return wrong
    return None


def misgiven(stage: Stage, port: str, value: object) -> Failure | None:
    """Why a value is none that the port of an org's component says it gives."""
    schema = stage.gives.get(port)
    wrong = None if schema is None else misfit(schema, port, value)
    return None if wrong is None else Failure("output.invalid", wrong.message)


def misfit(schema: Schema, port: str, value: object) -> Failure | None:
    """Why a message is none that a port takes; None when it is one."""
    try:
        if schema.accepts(value):
            return None
        fault = schema.faults(value)[0]
        detail = f"{fault.pointer or 'it'}: {fault.detail}"
    except ValueError as error:  # no JSON value at all
        detail = str(error)
    return Failure("input.invalid", f"a message at `{port}` does not fit its schema: {detail}"[:_MAX_MESSAGE])


def error_of(activation: Activation) -> dict[str, object]:
    """What leaves by the error port; its shape is `polis.graph.check.ERROR`."""
    failure = activation.failure or Failure("", "")
    return {
        "step": failure.step or activation.node.stage.path,
        "kind": failure.kind,
        "message": failure.message,
        "inputs": dict(activation.inputs),
        "attempts": max(1, activation.attempt),
    }
