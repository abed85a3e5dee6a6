"""Rows of orgs and their members. Changes of one org's members happen one after another."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.identity.tokens.issue import scopes_of
from polis.proto import Refused
from polis.proto.identity import (
    LastOwner,
    Member,
    MemberJoined,
    MemberNotFound,
    MemberRemoved,
    MemberRoleChanged,
    Membership,
    Org,
    OrgCreated,
    OrgNotFound,
    OrgRenamed,
    OrgSettings,
    Role,
    Scopes,
)
from polis.proto.problems import Forbidden

if TYPE_CHECKING:
    from collections.abc import Iterable

    from polis.db import Tenant, Transaction
    from polis.service import Actor

MANAGES_MEMBERS = "identity:members"


class Holder(Struct, frozen=True):
    """A member and the session id of the tokens by which services act for it."""

    account_id: UUID
    sid: UUID


class _Settings(Struct, frozen=True):
    org_id: UUID
    name: str
    created_at: datetime
    key_scopes: Scopes | None
    second_factor: bool


class Position(Struct, frozen=True):
    """Where a list of members continues."""

    since: datetime
    account_id: UUID


class _Right(Struct, frozen=True):
    role: Role
    scopes: Scopes | None


class _Place(Struct, frozen=True):
    org_id: UUID
    name: str
    created_at: datetime
    role: Role
    scopes: Scopes | None
    second_factor: bool

    @property
    def membership(self) -> Membership:
        org = Org(self.org_id, self.name, self.created_at)
        return Membership(org, self.role, self.scopes or (), self.second_factor)


async def create(tx: Transaction, org: Org, owner_id: UUID, *, sid: UUID) -> None:
    """Store a new org with its owner, and tell."""
    await tx.execute(
        "insert into identity.orgs (org_id, name, created_at) values ($1, $2, $3)",
        org.id,
        org.name,
        org.created_at,
    )
    await tx.emit(OrgCreated(org.id, org, owner_id))
    await join(tx, org.id, owner_id, "owner", sid=sid, at=org.created_at)


async def settings(db: Tenant | Transaction, org_id: UUID) -> OrgSettings:
    """Refused(Forbidden) for whom is in no org."""
    found = await db.row(
        _Settings,
        "select org_id, name, created_at, key_scopes, second_factor from identity.orgs where org_id = $1",
        org_id,
    )
    if found is None:
        raise Refused(Forbidden(scope="org"))
    org = Org(found.org_id, found.name, found.created_at)
    return OrgSettings(org, found.key_scopes, found.second_factor)


async def rename(tx: Transaction, org_id: UUID, name: str) -> OrgSettings:
    """Store another name, and tell."""
    await tx.execute("update identity.orgs set name = $2 where org_id = $1", org_id, name)
    changed = await settings(tx, org_id)
    await tx.emit(OrgRenamed(org_id, changed.org))
    return changed


async def limit_keys(tx: Transaction, org_id: UUID, scopes: Scopes | None) -> OrgSettings:
    await tx.execute("update identity.orgs set key_scopes = $2 where org_id = $1", org_id, scopes)
    return await settings(tx, org_id)


async def require_second_factor(tx: Transaction, org_id: UUID, *, required: bool) -> bool:
    """Whether that is another setting than before, of a locked org."""
    changed = await tx.execute(
        "update identity.orgs set second_factor = $2 where org_id = $1 and second_factor <> $2",
        org_id,
        required,
    )
    return bool(changed)


async def join(
    tx: Transaction, org_id: UUID, account_id: UUID, role: Role, *, sid: UUID, at: datetime
) -> bool:
    """Make somebody a member, and tell; false when that somebody is one already, whose role stays.

    A role of the org's own is held as it is, so that whoever narrows it sees its new member.
    """
    await tx.execute("select true from identity.roles where org_id = $1 and key = $2 for share", org_id, role)
    joined = await tx.execute(
        """
        insert into identity.memberships (org_id, account_id, role, sid, since)
        values ($1, $2, $3, $4, $5)
        on conflict (org_id, account_id) do nothing
        """,
        org_id,
        account_id,
        role,
        sid,
        at,
    )
    if joined:
        await tx.emit(MemberJoined(org_id, account_id, role))
    return bool(joined)


async def of_account(tx: Transaction, account_id: UUID) -> tuple[Membership, ...]:
    """The orgs of a person, oldest membership first. Only a transaction across orgs sees them all."""
    places = await tx.rows(
        _Place,
        """
        select o.org_id, o.name, o.created_at, m.role, r.scopes, o.second_factor
        from identity.memberships m
        join identity.orgs o on o.org_id = m.org_id
        left join identity.roles r on r.org_id = m.org_id and r.key = m.role
        where m.account_id = $1
        order by m.since, m.org_id
        """,
        account_id,
    )
    return tuple(place.membership for place in places)


async def membership(tx: Transaction, org_id: UUID, account_id: UUID) -> Membership:
    """One that is known to exist."""
    place = await tx.row(
        _Place,
        """
        select o.org_id, o.name, o.created_at, m.role, r.scopes, o.second_factor
        from identity.memberships m
        join identity.orgs o on o.org_id = m.org_id
        left join identity.roles r on r.org_id = m.org_id and r.key = m.role
        where m.org_id = $1 and m.account_id = $2
        """,
        org_id,
        account_id,
    )
    if place is None:
        raise LookupError(f"{account_id} is no member of {org_id}")
    return place.membership


async def members(db: Tenant, org_id: UUID, after: Position | None, limit: int) -> list[Member]:
    return await db.rows(
        Member,
        """
        select m.account_id as principal_id, a.email, a.name, m.role, m.since
        from identity.memberships m
        join identity.accounts a on a.id = m.account_id
        where m.org_id = $1 and (m.since, m.account_id)
            > (coalesce($2::timestamptz, '-infinity'), coalesce($3::uuid, '00000000-0000-0000-0000-000000000000'))
        order by m.since, m.account_id
        limit $4
        """,
        org_id,
        after and after.since,
        after and after.account_id,
        limit,
    )


async def lock(tx: Transaction, actor: Actor, scope: str = MANAGES_MEMBERS) -> frozenset[str]:
    """Lock the actor's org against other changes of its members; what the actor may do there at this moment.

    Its token may be older than its role: two owners who unmake each other must not both succeed. Who administers the
    mesh is no member and has what the token says. Refused(Forbidden) without `scope`.
    """
    await tx.value("select true from identity.orgs where org_id = $1 for no key update", actor.org_id)
    scopes = actor.scopes
    if actor.role != "administrator":
        place = await tx.row(
            _Right,
            """
            select m.role, r.scopes
            from identity.memberships m
            left join identity.roles r on r.org_id = m.org_id and r.key = m.role
            where m.org_id = $1 and m.account_id = $2
            """,
            actor.org_id,
            actor.principal_id,
        )
        scopes &= frozenset() if place is None else scopes_of(place.role, place.scopes)
    demand(scopes, scope)
    return scopes


async def lock_own(tx: Transaction, org_id: UUID, account_id: UUID) -> Role:
    """Lock an org against other changes of its members, for one of them; its role. Refused(OrgNotFound) for others."""
    await tx.value(
        """
        select true from identity.orgs o
        where o.org_id = $1
            and exists (select from identity.memberships where org_id = $1 and account_id = $2)
        for no key update of o
        """,
        org_id,
        account_id,
    )
    role = await role_of(tx, org_id, account_id)
    if role is None:
        raise Refused(OrgNotFound(org_id=org_id))
    return role


async def role_of(tx: Transaction, org_id: UUID, account_id: UUID) -> Role | None:
    """The role of a member; None for whom is none."""
    return await tx.row(
        str, "select role from identity.memberships where org_id = $1 and account_id = $2", org_id, account_id
    )


def demand(scopes: frozenset[str], *needed: str) -> None:
    """Refused(Forbidden) of the first that is lacking."""
    for scope in sorted(needed):
        if scope not in scopes:
            raise Refused(Forbidden(scope=scope))


def demand_belonging(actor: Actor) -> None:
    """Refused(Forbidden) for who came into the org as an administrator of the mesh.

    What is somebody's own there, keys and secrets, is worth what their role in the org is, and they have none.
    """
    if actor.role == "administrator":
        raise Refused(Forbidden(scope="member"), "this is for whoever belongs to the org")


async def member(tx: Transaction, org_id: UUID, account_id: UUID) -> Member:
    """Refused(MemberNotFound)."""
    found = await tx.row(
        Member,
        """
        select m.account_id as principal_id, a.email, a.name, m.role, m.since
        from identity.memberships m
        join identity.accounts a on a.id = m.account_id
        where m.org_id = $1 and m.account_id = $2
        """,
        org_id,
        account_id,
    )
    if found is None:
        raise Refused(MemberNotFound(principal_id=account_id))
    return found


async def change_role(tx: Transaction, org_id: UUID, account_id: UUID, role: Role, *, sid: UUID) -> UUID:
    """Give a member of a locked org another role and session id, and tell; the old id. Refused(LastOwner)."""
    old = await tx.value(
        """
        update identity.memberships set role = $3, sid = $4
        where org_id = $1 and account_id = $2
        returning old.sid
        """,
        org_id,
        account_id,
        role,
        sid,
    )
    await _demand_an_owner(tx, org_id)
    await tx.emit(MemberRoleChanged(org_id, account_id, role))
    return msgspec.convert(old, UUID)


async def renew_sids(tx: Transaction, org_id: UUID, role: Role) -> list[Holder]:
    """Give every member of a role in a locked org another session id; the old ones are the caller's to revoke."""
    return await tx.rows(
        Holder,
        """
        update identity.memberships set sid = uuidv7() where org_id = $1 and role = $2 returning account_id, old.sid
        """,
        org_id,
        role,
    )


async def remove(tx: Transaction, org_id: UUID, account_id: UUID) -> UUID:
    """Take a member out of a locked org, and tell; its session id. Refused(LastOwner)."""
    old = await tx.value(
        "delete from identity.memberships where org_id = $1 and account_id = $2 returning sid",
        org_id,
        account_id,
    )
    await _demand_an_owner(tx, org_id)
    await tx.emit(MemberRemoved(org_id, account_id))
    return msgspec.convert(old, UUID)


async def _demand_an_owner(tx: Transaction, org_id: UUID) -> None:
    owner = await tx.value(
        "select true from identity.memberships where org_id = $1 and role = 'owner' limit 1", org_id
    )
    if owner is None:
        raise Refused(LastOwner())


def roles(memberships: Iterable[Membership]) -> dict[UUID, str]:
    return {membership.org.id: membership.role for membership in memberships}
