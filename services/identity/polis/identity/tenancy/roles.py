"""Rows of an org's own roles. Whoever changes them, or gives them to members, holds the org's row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from polis.proto import Refused
from polis.proto.identity import (
    MEMBER_ROLES,
    ROLE_SCOPES,
    OrgRole,
    RoleChanged,
    RoleInUse,
    RoleNotFound,
    RoleTaken,
    TooManyRoles,
)

if TYPE_CHECKING:
    from uuid import UUID

    from polis.db import Tenant, Transaction

MAX_ROLES = 100
"""Of an org's own."""
FOR_OWNERS = frozenset({"identity:owners", "identity:limits"})
"""No role of an org's own has these: the one is the owners', the other is of who administers the mesh."""


async def create(tx: Transaction, org_id: UUID, role: OrgRole) -> None:
    """Store a new role of a locked org, and tell. Refused(RoleTaken), Refused(TooManyRoles)."""
    if role.key in ROLE_SCOPES or role.key == "service":
        raise Refused(RoleTaken(role=role.key))
    if await tx.value("select count(*) from identity.roles where org_id = $1", org_id) >= MAX_ROLES:
        raise Refused(TooManyRoles(most=MAX_ROLES))
    created = await tx.execute(
        """
        insert into identity.roles (org_id, key, name, scopes, created_by, created_at)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (org_id, key) do nothing
        """,
        org_id,
        role.key,
        role.name,
        role.scopes,
        role.created_by,
        role.created_at,
    )
    if not created:
        raise Refused(RoleTaken(role=role.key))
    await tx.emit(RoleChanged(org_id, role.key, role.scopes))


async def of_org(db: Tenant | Transaction, org_id: UUID) -> tuple[OrgRole, ...]:
    """Those of every org, then its own by key."""
    own = await db.rows(
        OrgRole,
        """
        select key, name, scopes, created_by, created_at
        from identity.roles
        where org_id = $1
        order by key
        """,
        org_id,
    )
    return (*map(_of_every_org, MEMBER_ROLES), *own)


async def find(db: Tenant | Transaction, org_id: UUID, key: str) -> OrgRole:
    """A role that members can have. Refused(RoleNotFound)."""
    return _of_every_org(key) if key in MEMBER_ROLES else await own(db, org_id, key)


async def own(db: Tenant | Transaction, org_id: UUID, key: str) -> OrgRole:
    """A role of the org's own. Refused(RoleNotFound)."""
    role = await db.row(
        OrgRole,
        """
        select key, name, scopes, created_by, created_at
        from identity.roles
        where org_id = $1 and key = $2
        """,
        org_id,
        key,
    )
    if role is None:
        raise Refused(RoleNotFound(role=key))
    return role


async def update(tx: Transaction, org_id: UUID, role: OrgRole) -> None:
    """Store the name and scopes of a role of a locked org, and tell."""
    await tx.execute(
        "update identity.roles set name = $3, scopes = $4 where org_id = $1 and key = $2",
        org_id,
        role.key,
        role.name,
        role.scopes,
    )
    await tx.emit(RoleChanged(org_id, role.key, role.scopes))


async def delete(tx: Transaction, org_id: UUID, key: str) -> None:
    """Delete a role of a locked org that nobody has, and tell. Refused(RoleInUse)."""
    gone = await tx.execute(
        """
        delete from identity.roles r
        where r.org_id = $1 and r.key = $2
            and not exists (select from identity.memberships m where m.org_id = $1 and m.role = $2)
            and not exists (select from identity.invitations i where i.org_id = $1 and i.role = $2)
        """,
        org_id,
        key,
    )
    if not gone:
        raise Refused(RoleInUse(role=key))
    await tx.emit(RoleChanged(org_id, key, ()))


def renamed(role: OrgRole, name: str | None, scopes: tuple[str, ...] | None) -> OrgRole:
    return msgspec.structs.replace(
        role, name=name or role.name, scopes=role.scopes if scopes is None else tuple(sorted(set(scopes)))
    )


def _of_every_org(key: str) -> OrgRole:
    return OrgRole(key, key.capitalize(), tuple(sorted(ROLE_SCOPES[key])))
