"""Rows of open invitations. One is for one address in one org, and whoever accepts it brings the token."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.identity.tokens.opaque import digest, mint
from polis.proto import Refused
from polis.proto.identity import Invitation, InvitationNotFound, OpenInvitation, Role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polis.db import Tenant, Transaction


class Accepted(Struct, frozen=True):
    """Where an accepted invitation leads."""

    org_id: UUID
    role: Role


async def invite(
    tx: Transaction,
    invitation_id: UUID,
    org_id: UUID,
    email: str,
    role: Role,
    *,
    by: UUID,
    at: datetime,
    until: datetime,
) -> Invitation:
    """A new invitation, in place of an open one for the same address."""
    token = mint("pin")
    await tx.execute(
        """
        insert into identity.invitations
            (org_id, id, email, role, token_hash, invited_by, created_at, expires_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8)
        on conflict on constraint invitations_email do update set
            id = excluded.id, role = excluded.role, token_hash = excluded.token_hash,
            invited_by = excluded.invited_by, created_at = excluded.created_at, expires_at = excluded.expires_at
        """,
        org_id,
        invitation_id,
        email,
        role,
        token.hash,
        by,
        at,
        until,
    )
    return Invitation(invitation_id, email, role, token.secret, until)


async def page(
    db: Tenant, org_id: UUID, after: UUID | None, at: datetime, limit: int
) -> list[OpenInvitation]:
    """Open invitations of an org, oldest first."""
    return await db.rows(
        OpenInvitation,
        """
        select id, email, role, invited_by, created_at, expires_at
        from identity.invitations
        where org_id = $1 and id > coalesce($2::uuid, '00000000-0000-0000-0000-000000000000') and expires_at > $3
        order by id
        limit $4
        """,
        org_id,
        after,
        at,
        limit,
    )


async def withdraw(tx: Transaction, org_id: UUID, invitation_id: UUID) -> None:
    """Refused(InvitationNotFound)."""
    gone = await tx.execute(
        "delete from identity.invitations where org_id = $1 and id = $2", org_id, invitation_id
    )
    if not gone:
        raise Refused(InvitationNotFound())


async def org_of(tx: Transaction, token: str) -> UUID | None:
    """The org that a token invites to, whatever else is true of it. Asked across orgs."""
    found = await tx.value(
        "select org_id from identity.invitations where token_hash = $1 limit 1", digest(token)
    )
    return found if isinstance(found, UUID) else None


async def accept(tx: Transaction, token: str, email: str, at: datetime) -> Accepted:
    """Use an invitation up: of two who try, one succeeds. Refused(InvitationNotFound), also for another address."""
    accepted = await tx.row(
        Accepted,
        """
        delete from identity.invitations
        where token_hash = $1 and email = $2 and expires_at > $3
        returning org_id, role
        """,
        digest(token),
        email,
        at,
    )
    if accepted is None:
        raise Refused(InvitationNotFound())
    return accepted


async def withdraw_of(
    tx: Transaction, org_id: UUID, inviters: Sequence[UUID], *, but: Sequence[str] = ()
) -> None:
    """End what somebody invited to who may not any more; `but`: roles to which these may still invite."""
    await tx.execute(
        "delete from identity.invitations where org_id = $1 and invited_by = any($2) and role <> all($3)",
        org_id,
        inviters,
        but,
    )
