"""Standing approvals: what people have allowed for always, so that it is not asked again."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from msgspec import Struct

from polis.proto.catalog import ResourceKey
from polis.proto.contract import (
    Cursor,
    Event,
    Limit,
    Page,
    Problem,
    Request,
    Time,
    event,
    operation,
    problem,
)
from polis.proto.runtime.words import ANSWERS, Addressee, SubjectPattern


class Always(Struct, frozen=True):
    """For what an approval stands from now on: this graph, or the agent that the run acts as; without a subject, for this one."""

    of: Literal["graph", "agent"] = "graph"
    subject: SubjectPattern | None = None


class StandingApproval(Struct, frozen=True):
    """An approval that was given for always: asks of this graph or agent, verb and subject are approved as they open.

    It counts where the ask is addressed to `to`, by which its giver answered, and until the giver's place in the org changes.
    """

    id: UUID
    org_id: UUID
    verb: str
    subject: SubjectPattern
    to: Addressee
    given_by: UUID
    given_at: Time
    graph: ResourceKey | None = None
    agent_id: UUID | None = None
    expires_at: Time | None = None


@problem(status=409)
class TooManyApprovals(Problem, frozen=True):
    """The org has as many standing approvals as it may have."""

    most: int


@problem(status=404)
class ApprovalNotFound(Problem, frozen=True):
    """The caller has no standing approval of this id."""

    approval_id: UUID


@event(entity="approval_id", listeners=("identity",))
class ApprovalGiven(Event, frozen=True):
    """An approval stands from now on."""

    approval_id: UUID
    approval: StandingApproval


@event(entity="approval_id", listeners=("identity",))
class ApprovalRevoked(Event, frozen=True):
    """An approval stands no longer. `by`: nobody, where its giver's place in the org has changed."""

    approval_id: UUID
    at: Time
    by: UUID | None = None


@operation(http="GET /approvals", scope=ANSWERS)
class ListApprovals(Request[Page[StandingApproval]], frozen=True):
    """List the caller's standing approvals, the newest first; everybody's for who manages access."""

    after: Cursor | None = None
    limit: Limit = 50


@operation(http="DELETE /approvals/{approval_id}", scope=ANSWERS, problems=(ApprovalNotFound,))
class RevokeApproval(Request[None], frozen=True):
    """Let a standing approval stand no longer: the caller's, or anybody's for who manages access."""

    approval_id: UUID
