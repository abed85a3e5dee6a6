"""How long runs are kept once they have ended, and deleting one."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from polis.proto.contract import Event, Request, event, operation
from polis.proto.runtime.history import RunOpen
from polis.proto.runtime.runs import MAX_SEQ, RunNotFound

Days = Annotated[int, Meta(ge=1, le=36_500, description="Days since a run's end.", examples=[90])]
Bytes = Annotated[
    int,
    Meta(
        ge=1, le=MAX_SEQ, description="Bytes of an org's runs with all that hangs on them.", examples=[10**9]
    ),
]


class RunRetention(Struct, frozen=True):
    """How long an org's ended runs are kept; null: without a bound.

    own_days, own_bytes: what the org itself has said; where it has not, the mesh's settings count.
    """

    days: Days | None
    bytes: Bytes | None
    own_days: Days | None
    own_bytes: Bytes | None


@event(entity="run_id")
class RunDeleted(Event, frozen=True):
    """Somebody deleted a run that had ended. What goes by age or size is not told one by one."""

    run_id: UUID


@operation(http="GET /run-retention", scope="runtime:read")
class GetRunRetention(Request[RunRetention], frozen=True):
    """Read how long the org's runs are kept."""


@operation(http="PUT /run-retention", scope="runtime:manage")
class SetRunRetention(Request[RunRetention], frozen=True):
    """Say how long the org's ended runs are kept, instead of the mesh's settings; null: as these say.

    Beyond either bound the oldest go first, each with its steps, journal and payloads.
    """

    days: Days | None = None
    bytes: Bytes | None = None


@operation(http="DELETE /runs/{run_id}", scope="runtime:run", problems=(RunNotFound, RunOpen))
class DeleteRun(Request[None], frozen=True):
    """Delete a run that has ended, with all that is kept of it: for whoever started it, and who manages runs."""

    run_id: UUID
