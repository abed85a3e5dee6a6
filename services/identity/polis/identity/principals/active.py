"""Whom somebody else may act for: the active users and agents of an org, with what they may do there at this moment."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.identity.tokens.issue import Bearer
from polis.proto.identity import ROLE_SCOPES, PrincipalKind, Scopes

if TYPE_CHECKING:
    from polis.db import Tenant, Transaction


class _Row(Struct, frozen=True):
    kind: PrincipalKind
    name: str
    role: str
    sid: UUID
    scopes: Scopes | None


async def bearer_of(db: Tenant | Transaction, org_id: UUID, principal_id: UUID) -> Bearer | None:
    """The bearer of a token for this org alone; None when nobody active has this id here."""
    row = await db.row(
        _Row,
        """
        select g.kind, g.name, 'agent' as role, g.sid, g.scopes
        from identity.agents g
        where g.org_id = $1 and g.id = $2 and g.suspended_at is null
        union all
        select 'user', a.name, m.role, m.sid, r.scopes
        from identity.memberships m
        join identity.accounts a on a.id = m.account_id and a.suspended_at is null
        left join identity.roles r on r.org_id = m.org_id and r.key = m.role
        where m.org_id = $1 and m.account_id = $2
        """,
        org_id,
        principal_id,
    )
    if row is None:
        return None
    stated = frozenset(row.scopes or ())
    return Bearer(
        principal_id,
        row.kind,
        row.name,
        org_id,
        {org_id: row.role},
        row.sid,
        {} if row.role in ROLE_SCOPES else {org_id: stated},
        None if row.kind == "user" else stated,
    )
