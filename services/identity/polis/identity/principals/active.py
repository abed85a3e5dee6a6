"""Whom a service may act for: the active users and agents of an org."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.identity.tokens.issue import Bearer
from polis.proto.identity import PrincipalKind

if TYPE_CHECKING:
    from polis.db import Tenant


class _Row(Struct, frozen=True):
    kind: PrincipalKind
    name: str
    role: str
    sid: UUID


async def bearer_of(db: Tenant, org_id: UUID, principal_id: UUID) -> Bearer | None:
    """The bearer of a token for this org alone; None when nobody active has this id here."""
    row = await db.row(
        _Row,
        """
        select 'agent' as kind, g.name, 'agent' as role, g.sid
        from identity.agents g
        where g.org_id = $1 and g.id = $2
        union all
        select 'user', a.name, m.role, m.sid
        from identity.memberships m
        join identity.accounts a on a.id = m.account_id and a.suspended_at is null
        where m.org_id = $1 and m.account_id = $2
        """,
        org_id,
        principal_id,
    )
    if row is None:
        return None
    return Bearer(principal_id, row.kind, row.name, org_id, {org_id: row.role}, row.sid)
