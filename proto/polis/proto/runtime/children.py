"""Runs that a run starts: they act as it does, with no more rights, and end with it."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta

from polis.proto.catalog import Environment, ResourceKey, VersionNumber
from polis.proto.contract import Event, Problem, Request, event, operation, problem
from polis.proto.identity import OverQuota
from polis.proto.runtime.runs import (
    GraphInputs,
    GraphInvalid,
    GraphNotFound,
    InputInvalid,
    Run,
    RunEnded,
    RunNotFound,
)


@problem(status=409)
class TooManyChildren(Problem, frozen=True):
    """The run has as many children as a run may have, or as many above it."""

    most: int
    depth: int


@event(entity="run_id", listeners=("runtime",))
class ChildEnded(Event, frozen=True):
    """A run that another one has started has ended; told beside what every run's end tells."""

    run_id: UUID
    parent_id: UUID


@event(entity="run_id", listeners=("runtime",))
class ChildAbandoned(Event, frozen=True):
    """Nobody waits for a run any more that another one has started: it is to be cancelled."""

    run_id: UUID
    parent_id: UUID


@operation(
    scope="runtime:run",
    problems=(
        *(RunNotFound, RunEnded, TooManyChildren),
        *(GraphNotFound, GraphInvalid, InputInvalid, OverQuota),
    ),
    callers=("runtime",),
)
class StartChild(Request[Run], frozen=True):
    """Start a run for a step of another one, as whom that one acts as; once for each key.

    Of the version that is active in an environment, or of the one with this number.
    """

    parent_id: UUID
    key: Annotated[str, Meta(max_length=4000, description="`run/step/item` of the step.")]
    graph: ResourceKey
    input: GraphInputs = {}  # noqa: RUF012 - msgspec copies it
    environment: Environment = "production"
    number: VersionNumber | None = None
