"""Bringing an open run to another version of its graph."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from msgspec import Struct

from polis.proto.catalog import Digest, Environment
from polis.proto.contract import Event, Problem, Request, event, operation, problem
from polis.proto.problems import Fault
from polis.proto.runtime.runs import AgentUnknown, GraphInvalid, GraphNotFound, Run, RunEnded, RunNotFound


class GraphChange(Struct, frozen=True):
    """A place in the graph (JSON Pointer) that differs between two versions."""

    op: Literal["add", "remove", "replace"]
    path: str


class Migration(Struct, frozen=True):
    """What bringing a run to another version changes, and what keeps it from being done.

    changes: the first of them, if they are very many. migrated: whether the run executes the other version now.
    """

    run: Run
    digest: Digest
    migrated: bool
    changes: tuple[GraphChange, ...] = ()
    obstacles: tuple[Fault, ...] = ()


@problem(status=409)
class RunIncompatible(Problem, frozen=True):
    """What the run has done does not hold under the other version; every obstacle is listed."""

    faults: tuple[Fault, ...]


@event(entity="run_id")
class RunMigrated(Event, frozen=True):
    """An open run executes another version of its graph from now on."""

    run_id: UUID
    digest: Digest


@operation(
    http="POST /runs/{run_id}/migrate",
    scope="runtime:run",
    problems=(RunNotFound, RunEnded, RunIncompatible, GraphNotFound, GraphInvalid, AgentUnknown),
)
class MigrateRun(Request[Migration], frozen=True):
    """Bring an open run to the version of its graph that is active, where all that it has done holds under that one too.

    A step with outcomes stays as it was, and so does all in front of it; what lies behind or beside may be another. A step
    that is at work is begun again, under its key. Without this a run stays with the version that it was started with.
    dry_run: say what would change, and why it cannot.
    """

    run_id: UUID
    environment: Environment = "production"
    dry_run: bool = False
