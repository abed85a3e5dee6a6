"""The audit log of an org: who did what and when, in a chain that shows what was taken out or changed."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from polis.proto.contract import (
    EVERY_SERVICE,
    INTERNAL,
    Cursor,
    Limit,
    Page,
    Request,
    Stream,
    Time,
    operation,
)

DENIALS = 200
"""Denials that one request tells of."""

AuditAction = Annotated[
    str,
    Meta(
        max_length=64,
        pattern=r"^[a-z_]+\.[a-z_]+$(?!\n)",
        description="`<noun>.<past>`: what was done.",
        examples=["session.opened"],
    ),
]
AuditHash = Annotated[
    str,
    Meta(
        pattern=r"^[0-9a-f]{64}$(?!\n)",
        description="SHA-256 in hex.",
        examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    ),
]
AuditNumber = Annotated[int, Meta(ge=0, le=2**53, description="Number of a record in its org's log, from 1.")]


class AuditRecord(Struct, frozen=True):
    """Something that was done. `hash` is of this record and of the hash of the one before it."""

    n: AuditNumber
    at: Time
    action: AuditAction
    actor_id: UUID | None
    subject: str
    detail: dict[str, str]
    hash: AuditHash


class AuditLink(Struct, frozen=True):
    """A record by its number and its hash, as somebody may have noted it down elsewhere."""

    n: AuditNumber
    hash: AuditHash


class BrokenLink(Struct, frozen=True):
    """Where an audit log is not what was written.

    `missing`: the record is gone; `changed`: it, or the one before it, is another; `cut`: the log ends too early.
    """

    n: AuditNumber
    fault: Literal["missing", "changed", "cut"]


class AuditState(Struct, frozen=True):
    """What a verification found. Without `broken` everything from `start` to `end` is as it was written.

    `start`: the last record before those that were verified (0, or where old ones were removed); `next_after`: where to
    go on when there is more than one answer verifies.
    """

    start: AuditLink
    end: AuditLink
    broken: BrokenLink | None = None
    next_after: AuditNumber | None = None


class Denial(Struct, frozen=True):
    """Somebody was refused an operation, so many times lately, for lack of this scope or of a `second_factor`."""

    org_id: UUID
    principal_id: UUID
    operation: Annotated[str, Meta(max_length=64)]
    scope: Annotated[str, Meta(max_length=64)]
    count: Annotated[int, Meta(ge=1, le=2**53)] = 1


@operation(scope=INTERNAL, callers=(EVERY_SERVICE,))
class RecordDenials(Request[None], frozen=True):
    """Record in the audit logs of orgs what a service refused."""

    denials: Annotated[tuple[Denial, ...], Meta(max_length=DENIALS)]


@operation(http="GET /audit", scope="identity:audit")
class ListAudit(Request[Page[AuditRecord]], frozen=True):
    """List what was done in the org, newest first: everything, what somebody did, or one action."""

    after: Cursor | None = None
    limit: Limit = 50
    action: AuditAction | None = None
    actor_id: UUID | None = None


@operation(http="GET /audit/verification", scope="identity:audit")
class VerifyAudit(Request[AuditState], frozen=True):
    """Verify the org's audit log, a bounded part at a time, and name the first record that is not as it was written.

    `noted_n` and `noted_hash`: a record noted down earlier, which must still be there; so a log cut at its end is found.
    """

    after: AuditNumber | None = None
    noted_n: AuditNumber | None = None
    noted_hash: AuditHash | None = None


@operation(http="GET /audit/export", scope="identity:audit")
class ExportAudit(Request[Stream[AuditRecord]], frozen=True):
    """Read the org's whole audit log, oldest first, a record a line."""

    after: AuditNumber = 0
