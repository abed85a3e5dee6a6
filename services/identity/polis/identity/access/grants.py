"""Rows of grants, and the questions that a decision answers from them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.proto import Refused
from polis.proto.identity import (
    MEMBER_ROLES,
    ApprovalWithdrawn,
    Conditions,
    DataClass,
    Grant,
    GrantApproved,
    GrantGiven,
    GrantNotFound,
    GrantTaken,
    Holder,
    HolderKind,
    HolderNotFound,
    NoApprovalAwaited,
    NotApproved,
    ResourcePattern,
    Role,
    Scope,
    TooManyGrants,
)

if TYPE_CHECKING:
    from polis.db import Tenant, Transaction
    from polis.service.access import Who

MAX_GRANTS = 200
"""Of one holder: a decision reads all of those that may count."""

_HOLDERS = {
    "unit": ("select true from identity.units where org_id = $1 and id = $2 for key share",),
    "role": ("select true from identity.roles where org_id = $1 and key = $2",),
    "principal": (
        "select true from identity.agents where org_id = $1 and id = $2 for key share",
        "select true from identity.memberships where org_id = $1 and account_id = $2",
    ),
}
"""Where a holder of a kind is looked for. Roles and members change under the org's lock, which the giver holds."""


class _Row(Struct, frozen=True):
    id: UUID
    org_id: UUID
    holder_kind: HolderKind
    holder_id: UUID | None
    holder_role: Role | None
    verb: Scope
    resource: ResourcePattern
    approval: bool
    data_class: DataClass
    expires_at: datetime | None
    given_by: UUID
    given_at: datetime
    approved_by: UUID | None
    approved_at: datetime | None

    @property
    def grant(self) -> Grant:
        return Grant(
            id=self.id,
            org_id=self.org_id,
            holder=Holder(self.holder_kind, self.holder_id, self.holder_role),
            verb=self.verb,
            resource=self.resource,
            given_by=self.given_by,
            given_at=self.given_at,
            conditions=Conditions(self.expires_at, self.approval, self.data_class),
            approved_by=self.approved_by,
            approved_at=self.approved_at,
        )


async def demand_holder(tx: Transaction, org_id: UUID, holder: Holder) -> None:
    """Refused(HolderNotFound) unless a locked org has it; a unit or agent stays until the transaction ends.

    The agents' bundle is a role to hold grants, although nobody is given it.
    """
    if holder.kind == "everyone" or holder.role in (*MEMBER_ROLES, "agent"):
        return
    for table in _HOLDERS[holder.kind]:
        if await tx.value(table, org_id, holder.role if holder.kind == "role" else holder.id):
            return
    raise Refused(HolderNotFound(holder=holder))


async def give(tx: Transaction, grant: Grant) -> None:
    """Store a new grant of a locked org, and tell. Refused(TooManyGrants)."""
    held = await tx.value(
        """
        select count(*) from identity.grants
        where org_id = $1 and holder_kind = $2 and holder_id is not distinct from $3
            and holder_role is not distinct from $4
        """,
        grant.org_id,
        grant.holder.kind,
        grant.holder.id,
        grant.holder.role,
    )
    if held >= MAX_GRANTS:
        raise Refused(TooManyGrants(most=MAX_GRANTS))
    await tx.execute(
        """
        insert into identity.grants
            (org_id, id, holder_kind, holder_id, holder_role, verb, resource, approval, data_class, expires_at,
             given_by, given_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        """,
        grant.org_id,
        grant.id,
        grant.holder.kind,
        grant.holder.id,
        grant.holder.role,
        grant.verb,
        grant.resource,
        grant.conditions.approval,
        grant.conditions.data_class,
        grant.conditions.expires_at,
        grant.given_by,
        grant.given_at,
    )
    await tx.emit(GrantGiven(grant.org_id, grant.id, grant))


async def page(
    db: Tenant, org_id: UUID, holder_id: UUID | None, after: UUID | None, limit: int
) -> list[Grant]:
    """Grants of the org, oldest first; with `holder_id` those that name it."""
    found = await db.rows(
        _Row,
        """
        select id, org_id, holder_kind, holder_id, holder_role, verb, resource, approval, data_class, expires_at,
            given_by, given_at, approved_by, approved_at
        from identity.grants
        where org_id = $1 and ($2::uuid is null or holder_id = $2) and id > coalesce($3::uuid, '00000000-0000-0000-0000-000000000000')
        order by id
        limit $4
        """,
        org_id,
        holder_id,
        after,
        limit,
    )
    return [row.grant for row in found]


async def held_by(db: Tenant | Transaction, org_id: UUID, who: Who, verb: str) -> list[Grant]:
    """Every grant of a verb that a principal holds, itself or by its role or unit, also those that have expired."""
    found = await db.rows(
        _Row,
        """
        select id, org_id, holder_kind, holder_id, holder_role, verb, resource, approval, data_class, expires_at,
            given_by, given_at, approved_by, approved_at
        from identity.grants
        where org_id = $1 and verb = $2 and (
            holder_kind = 'everyone'
            or (holder_kind = 'principal' and holder_id = $3)
            or (holder_kind = 'role' and holder_role = $4)
            or (holder_kind = 'unit' and holder_id = any($5))
        )
        order by id
        """,
        org_id,
        verb,
        who.id,
        who.role,
        list(who.units),
    )
    return [row.grant for row in found]


async def lock(tx: Transaction, org_id: UUID, grant_id: UUID) -> Grant:
    """Refused(GrantNotFound)."""
    row = await tx.row(
        _Row,
        """
        select id, org_id, holder_kind, holder_id, holder_role, verb, resource, approval, data_class, expires_at,
            given_by, given_at, approved_by, approved_at
        from identity.grants
        where org_id = $1 and id = $2
        for update
        """,
        org_id,
        grant_id,
    )
    if row is None:
        raise Refused(GrantNotFound(grant_id=grant_id))
    return row.grant


async def approve(tx: Transaction, grant: Grant, by: UUID, at: datetime) -> Grant:
    """Let a locked grant count, and tell. Refused(NoApprovalAwaited)."""
    if not grant.conditions.approval or grant.approved_by is not None:
        raise Refused(NoApprovalAwaited())
    approved = msgspec.structs.replace(grant, approved_by=by, approved_at=at)
    await _note_approval(tx, approved)
    await tx.emit(GrantApproved(grant.org_id, grant.id, approved))
    return approved


async def withdraw_approval(tx: Transaction, grant: Grant) -> Grant:
    """Let a locked grant wait again, and tell. Refused(NotApproved)."""
    if grant.approved_by is None:
        raise Refused(NotApproved())
    waiting = msgspec.structs.replace(grant, approved_by=None, approved_at=None)
    await _note_approval(tx, waiting)
    await tx.emit(ApprovalWithdrawn(grant.org_id, grant.id))
    return waiting


async def _note_approval(tx: Transaction, grant: Grant) -> None:
    await tx.execute(
        "update identity.grants set approved_by = $3, approved_at = $4 where org_id = $1 and id = $2",
        grant.org_id,
        grant.id,
        grant.approved_by,
        grant.approved_at,
    )


async def take(tx: Transaction, org_id: UUID, grant_id: UUID) -> None:
    """Delete a grant, and tell. Refused(GrantNotFound)."""
    taken = await tx.execute("delete from identity.grants where org_id = $1 and id = $2", org_id, grant_id)
    if not taken:
        raise Refused(GrantNotFound(grant_id=grant_id))
    await tx.emit(GrantTaken(org_id, grant_id))


async def take_of(tx: Transaction, org_id: UUID, holder: Holder) -> None:
    """Delete what a principal, role or unit that is gone held, and tell."""
    taken = await tx.rows(
        UUID,
        """
        delete from identity.grants
        where org_id = $1 and holder_kind = $2 and holder_id is not distinct from $3
            and holder_role is not distinct from $4
        returning id
        """,
        org_id,
        holder.kind,
        holder.id,
        holder.role,
    )
    for grant_id in taken:
        await tx.emit(GrantTaken(org_id, grant_id))
