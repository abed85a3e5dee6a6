"""Steering a run from outside: signals to it, what it tells of itself, pausing it and letting it go on."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from polis.proto.catalog import ResourceKey
from polis.proto.contract import Event, Request, Time, event, operation
from polis.proto.runtime.runs import Run, RunEnded, RunNotFound

SignalName = Annotated[
    str,
    Meta(
        pattern=r"^[a-z][a-z0-9_.]{0,62}$(?!\n)",
        description="Name of a signal, or of what a run tells.",
        examples=["invoice_paid"],
    ),
]


class Signalled(Struct, frozen=True):
    """What became of a signal: a step took it, or it waits for one. `queued`: how many of the run wait by then."""

    taken: bool
    queued: int


class RunStatus(Struct, frozen=True):
    """What a run has told last under a name."""

    name: SignalName
    value: object
    at: Time


class RunStatuses(Struct, frozen=True):
    """What a run has told so far, by name."""

    run_id: UUID
    statuses: tuple[RunStatus, ...]


@event(entity="run_id", shown="runtime:read")
class RunPaused(Event, frozen=True):
    """A run begins no further step; what is at work ends and counts."""

    run_id: UUID
    graph: ResourceKey | None = None
    actor_id: UUID | None = None


@event(entity="run_id", shown="runtime:read")
class RunResumed(Event, frozen=True):
    """A run that was paused goes on."""

    run_id: UUID
    graph: ResourceKey | None = None
    actor_id: UUID | None = None


@operation(
    http="POST /runs/{run_id}/signals",
    scope="runtime:run",
    problems=(RunNotFound, RunEnded),
    max_body=64 * 1024,
    on_socket=True,
)
class SignalRun(Request[Signalled], frozen=True):
    """Give a run a signal: to the step that waits for its name, else it waits for one, in order and up to a bound."""

    run_id: UUID
    name: SignalName
    payload: object = None


@operation(http="GET /runs/{run_id}/statuses", scope="runtime:read", problems=(RunNotFound,))
class QueryRun(Request[RunStatuses], frozen=True):
    """Read what a run tells of itself: the last value of each name that its `status` steps have told."""

    run_id: UUID


@operation(
    http="POST /runs/{run_id}/pause", scope="runtime:run", problems=(RunNotFound, RunEnded), on_socket=True
)
class PauseRun(Request[Run], frozen=True):
    """Begin no further step of a run; what is at work ends and counts. Signals and answers wait, up to their bounds."""

    run_id: UUID


@operation(
    http="POST /runs/{run_id}/resume", scope="runtime:run", problems=(RunNotFound, RunEnded), on_socket=True
)
class ResumeRun(Request[Run], frozen=True):
    """Let a paused run go on where it was."""

    run_id: UUID
