"""Runs made from others, and many at once: rerun, fork, retry, batch."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from polis.proto.catalog import Environment, ResourceKey, Tags
from polis.proto.contract import Problem, Request, operation, problem
from polis.proto.graph import NodeName
from polis.proto.identity import AgentRef, OverQuota
from polis.proto.problems import Fault
from polis.proto.runtime.runs import (
    AgentUnknown,
    GraphInputs,
    GraphInvalid,
    GraphNotFound,
    InputInvalid,
    Run,
    RunNotFound,
    RunState,
    RunTimeout,
)

MAX_BATCH = 1000
"""Runs that are started with one request."""


@problem(status=409)
class RunOpen(Problem, frozen=True):
    """The run has not ended."""

    state: str


@problem(status=409)
class NothingFailed(Problem, frozen=True):
    """The run has succeeded: there is nothing to retry."""

    state: str


@problem(status=404)
class StepUnknown(Problem, frozen=True):
    """The run's graph has no such step."""

    step: str


@operation(
    http="POST /runs/{run_id}/rerun",
    scope="runtime:run",
    problems=(RunNotFound, RunOpen, StepUnknown, GraphInvalid, AgentUnknown, OverQuota),
)
class RerunRun(Request[Run], frozen=True):
    """Start a run that does a step of an ended run anew, and all that lies behind it.

    The graph version, the input and who it acts as are those of the run; the outcomes of all other effects are taken over.
    Approvals in front of the step are asked for again. Somebody else's run is for that one alone to take over.
    """

    run_id: UUID
    step: NodeName


@operation(
    http="POST /runs/{run_id}/retry",
    scope="runtime:run",
    problems=(RunNotFound, RunOpen, NothingFailed, GraphInvalid, AgentUnknown, OverQuota),
)
class RetryRun(Request[Run], frozen=True):
    """Start a run that does once more what failed in a run, or was not reached by it: what succeeded is taken over."""

    run_id: UUID


@operation(
    http="POST /runs/{run_id}/fork",
    scope="runtime:run",
    problems=(RunNotFound, GraphInvalid, InputInvalid, AgentUnknown, OverQuota),
    max_body=1024 * 1024,
)
class ForkRun(Request[Run], frozen=True):
    """Start a run of the same graph version with other input: what is not given here is as in the run. All is done anew."""

    run_id: UUID
    input: GraphInputs = {}  # noqa: RUF012 - msgspec copies it


class BatchOutcome(Struct, frozen=True):
    """What became of one of many runs: the run, as it is by now, or why there is none."""

    run_id: UUID | None = None
    state: RunState | None = None
    faults: tuple[Fault, ...] = ()


class Batch(Struct, frozen=True):
    """What became of each run, in the order in which they were asked for."""

    outcomes: tuple[BatchOutcome, ...]


@operation(
    http="POST /runs/batch",
    scope="runtime:run",
    problems=(GraphNotFound, GraphInvalid, AgentUnknown, OverQuota),
    max_body=1024 * 1024,
)
class StartRuns(Request[Batch], frozen=True):
    """Start a run of one graph for each input: all that fit in one commit, and each of the others says what is wrong."""

    graph: ResourceKey
    inputs: Annotated[tuple[GraphInputs, ...], Meta(min_length=1, max_length=MAX_BATCH)]
    agent: AgentRef | None = None
    environment: Environment = "production"
    tags: Tags = ()
    timeout_s: RunTimeout | None = None
