"""Approvals that stand: given for always by whoever answered, used as asks open, gone when their giver's place changes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.proto import Refused
from polis.proto.problems import Fault
from polis.proto.runtime import (
    Always,
    AnswerInvalid,
    ApprovalGiven,
    ApprovalNotFound,
    ApprovalRevoked,
    StandingApproval,
    TooManyApprovals,
)
from polis.service.access import matches
from polis.service.addressees import addressee_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from polis.db import Tenant, Transaction
    from polis.runtime.asks.rows import FullRow

MOST = 1_000
"""Standing approvals of one org."""
MAX_LOOKED_AT = 1_000
"""Standing approvals that the asks of one commit are compared with."""


class ApprovalRow(Struct, frozen=True):
    """The columns that make a StandingApproval."""

    id: UUID
    org_id: UUID
    verb: str
    subject: str
    key: str
    given_by: UUID
    given_at: datetime
    graph: str | None
    agent_id: UUID | None
    expires_at: datetime | None

    @property
    def approval(self) -> StandingApproval:
        fields = {name: getattr(self, name) for name in ApprovalRow.__struct_fields__ if name != "key"}
        return StandingApproval(**fields, to=addressee_of(self.key))


class Giving(Struct, frozen=True):
    """Who gives an approval for always, by which addressee of the ask, and when."""

    id: UUID
    key: str
    by: UUID
    at: datetime
    until: datetime | None = None


class Subject(Struct, frozen=True):
    """What an ask that opens is about, and whom it is addressed to."""

    org_id: UUID
    graph: str
    actor_id: UUID
    started_by: UUID
    verb: str
    subject: str
    no_self: bool
    keys: tuple[str, ...]

    def is_approved_by(self, row: ApprovalRow) -> bool:
        """Whether an approval stands for it: of its graph or agent, and of somebody whom it is addressed to as then."""
        of = row.graph == self.graph if row.graph is not None else row.agent_id == self.actor_id
        own = self.no_self and row.given_by in (self.actor_id, self.started_by)
        return (
            (row.org_id, row.verb) == (self.org_id, self.verb)
            and (of and not own and row.key in self.keys)
            and (row.subject == self.subject or matches(row.subject, self.subject))
        )


async def give(tx: Transaction, ask: FullRow, always: Always, approval: Giving) -> None:
    """Let an approval stand from now on; one that stands already is not given twice.

    Refused(AnswerInvalid) for a pattern that does not cover what the ask is about, Refused(TooManyApprovals).
    """
    subject = ask.subject if always.subject is None else always.subject
    if subject != ask.subject and not matches(subject, ask.subject):
        fault = Fault("/always/subject", "it does not cover what this ask is about")
        raise Refused(AnswerInvalid(faults=(fault,)))
    await tx.execute(
        "delete from runtime.approvals where org_id = $1 and given_by = $2 and expires_at <= $3",
        ask.org_id,
        approval.by,
        approval.at,
    )
    held = await tx.value("select count(*) from runtime.approvals where org_id = $1", ask.org_id)
    if held >= MOST:
        raise Refused(TooManyApprovals(most=MOST))
    row = await tx.row(
        ApprovalRow,
        """
        insert into runtime.approvals (org_id, id, graph, agent_id, verb, subject, key, given_by, given_at, expires_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict do nothing
        returning id, org_id, verb, subject, key, given_by, given_at, graph, agent_id, expires_at
        """,
        ask.org_id,
        approval.id,
        ask.graph if always.of == "graph" else None,
        ask.actor_id if always.of == "agent" else None,
        ask.verb,
        subject,
        approval.key,
        approval.by,
        approval.at,
        approval.until,
    )
    if row is not None:
        await tx.emit(ApprovalGiven(row.org_id, row.id, row.approval))


async def standing(tx: Transaction, subjects: Sequence[Subject]) -> list[ApprovalRow | None]:
    """For each ask that opens the approval that stands for it, the oldest first; None where there is none."""
    if not subjects:
        return []
    orgs = sorted({subject.org_id for subject in subjects})
    rows = await tx.rows(
        ApprovalRow,
        """
        select a.id, a.org_id, a.verb, a.subject, a.key, a.given_by, a.given_at, a.graph, a.agent_id, a.expires_at
        from runtime.approvals a
        where a.org_id = any($1) and a.verb = any($2) and a.key = any($3)
            and (a.expires_at is null or a.expires_at > now())
        order by a.id limit $4
        """,
        orgs,
        sorted({subject.verb for subject in subjects}),
        sorted({key for subject in subjects for key in subject.keys}),
        MAX_LOOKED_AT,
    )
    return [next(filter(subject.is_approved_by, rows), None) for subject in subjects]


async def page(db: Tenant, *, given_by: UUID | None, before: UUID | None, limit: int) -> list[ApprovalRow]:
    """The standing approvals of somebody, or of everybody, the newest first."""
    return await db.rows(
        ApprovalRow,
        """
        select a.id, a.org_id, a.verb, a.subject, a.key, a.given_by, a.given_at, a.graph, a.agent_id, a.expires_at
        from runtime.approvals a
        where a.org_id = $1 and ($2::uuid is null or a.given_by = $2) and a.id < coalesce($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
            and (a.expires_at is null or a.expires_at > now())
        order by a.id desc limit $4
        """,
        db.org_id,
        given_by,
        before,
        limit,
    )


async def revoke(
    tx: Transaction, approval_id: UUID, *, given_by: UUID | None, by: UUID, at: datetime
) -> None:
    """End one, of somebody or of anybody, and tell. Refused(ApprovalNotFound)."""
    gone = await tx.execute(
        "delete from runtime.approvals where org_id = $1 and id = $2 and ($3::uuid is null or given_by = $3)",
        tx.org_id,
        approval_id,
        given_by,
    )
    if not gone:
        raise Refused(ApprovalNotFound(approval_id=approval_id))
    await tx.emit(ApprovalRevoked(tx.org_id, approval_id, at, by))


async def given_by(tx: Transaction, principal_id: UUID) -> list[ApprovalRow]:
    return await _of(tx, "given_by", principal_id)


async def by_grant(tx: Transaction) -> list[ApprovalRow]:
    """Those that were given by holders of grants as such."""
    return await tx.rows(
        ApprovalRow,
        """
        select a.id, a.org_id, a.verb, a.subject, a.key, a.given_by, a.given_at, a.graph, a.agent_id, a.expires_at
        from runtime.approvals a where a.org_id = $1 and a.key like 'grant:%' order by a.id
        """,
        tx.org_id,
    )


async def of_agent(tx: Transaction, agent_id: UUID) -> list[ApprovalRow]:
    return await _of(tx, "agent_id", agent_id)


async def _of(tx: Transaction, column: str, principal_id: UUID) -> list[ApprovalRow]:
    return await tx.rows(
        ApprovalRow,
        f"""
        select a.id, a.org_id, a.verb, a.subject, a.key, a.given_by, a.given_at, a.graph, a.agent_id, a.expires_at
        from runtime.approvals a where a.org_id = $1 and a.{column} = $2 order by a.id
        """,  # noqa: S608 - a name of this module
        tx.org_id,
        principal_id,
    )


async def drop(tx: Transaction, rows: Iterable[ApprovalRow], at: datetime) -> None:
    """End those that nobody revoked, and tell."""
    for row in rows:
        await tx.execute("delete from runtime.approvals where org_id = $1 and id = $2", tx.org_id, row.id)
        await tx.emit(ApprovalRevoked(tx.org_id, row.id, at))
