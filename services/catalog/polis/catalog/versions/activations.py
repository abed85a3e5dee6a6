"""Rows of activations: which version an environment uses, and every time that this changed."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.catalog.resources import rows as resources
from polis.catalog.versions import uses
from polis.proto import Refused
from polis.proto.catalog import (
    Activation,
    InUse,
    Move,
    NotActive,
    VersionActivated,
    VersionDeactivated,
    VersionNotFound,
)

if TYPE_CHECKING:
    from datetime import datetime

    from polis.catalog.access import Viewer
    from polis.db import Tenant, Transaction
    from polis.proto.catalog import Resource


class Position(Struct, frozen=True):
    """Where a list of activations continues."""

    resource_id: UUID
    environment: str = ""


class MovePosition(Struct, frozen=True):
    """Where a list of moves continues: before this one. The default lies behind all."""

    resource_id: UUID
    environment: str
    change: int = 2_000_000_000


async def activate(
    tx: Transaction,
    resource: Resource,
    environment: str,
    number: int,
    *,
    by: UUID,
    at: datetime,
    scopes: frozenset[str] = frozenset(),
) -> Activation:
    """Point an environment at a version of a locked resource; where it points there already, nothing happens.

    scopes: what the token could do by which it is done. What runs by the activation alone may do no more.
    Refused(VersionNotFound) or DependencyGone.
    """
    current = await _current(tx, resource, environment)
    if current is not None and current.number == number:
        return current
    await uses.demand_used(tx, resource, number)
    if not await _move(tx, resource, environment, number, by=by, at=at, scopes=scopes):
        raise Refused(VersionNotFound(version=str(number)))
    await tx.emit(VersionActivated(resource.org_id, resource.id, environment, number))
    return Activation(resource.id, environment, number, by, at)


async def deactivate(
    tx: Transaction, viewer: Viewer, resource: Resource, environment: str, *, by: UUID, at: datetime
) -> None:
    """Make an environment use no version of a locked resource. Refused(NotActive) or InUse."""
    await resources.lock_whole(tx, resource)
    users = await uses.users(tx, viewer, resource, environment)
    if users.any:
        raise Refused(InUse(users=users.named, environments=(environment,)))
    await clear(tx, resource, environment, by=by, at=at)


async def clear(tx: Transaction, resource: Resource, environment: str, *, by: UUID, at: datetime) -> None:
    """Remove a pointer, whoever uses the resource. Refused(NotActive)."""
    number = await tx.value(
        """
        with gone as (
            delete from catalog.activations a
            where a.org_id = $1 and a.resource_id = $2 and a.environment = $3
            returning a.org_id, a.resource_id, a.environment, a.change, a.number
        )
        insert into catalog.activation_history (org_id, resource_id, environment, change, number, previous,
            activated_by, activated_at)
        select g.org_id, g.resource_id, g.environment, g.change + 1, null, g.number, $4::uuid, $5::timestamptz
        from gone g
        returning previous
        """,
        resource.org_id,
        resource.id,
        environment,
        by,
        at,
    )
    if number is None:
        raise Refused(NotActive(environment=environment))
    await tx.emit(VersionDeactivated(resource.org_id, resource.id, environment, number))


async def number(tx: Transaction, resource: Resource, environment: str) -> int | None:
    """The version that an environment uses."""
    current = await _current(tx, resource, environment)
    return None if current is None else current.number


async def environments(tx: Transaction, resource: Resource) -> list[str]:
    """Where a resource is active."""
    return await tx.rows(
        str,
        """
        select a.environment from catalog.activations a
        where a.org_id = $1 and a.resource_id = $2
        order by a.environment
        """,
        resource.org_id,
        resource.id,
    )


async def page(db: Tenant, resource: Resource, after: str, limit: int) -> list[Activation]:
    """Up to `limit` activations of a resource behind an environment, by environment."""
    return await db.rows(
        Activation,
        """
        select a.resource_id, a.environment, a.number, a.activated_by, a.activated_at
        from catalog.activations a
        where a.org_id = $1 and a.resource_id = $2 and a.environment > $3
        order by a.environment limit $4
        """,
        resource.org_id,
        resource.id,
        after,
        limit,
    )


async def moves(db: Tenant, resource: Resource, after: MovePosition, limit: int) -> list[Move]:
    """Up to `limit` moves of a pointer before one, newest first."""
    return await db.rows(
        Move,
        """
        select h.change, h.number, h.previous, h.activated_by, h.activated_at
        from catalog.activation_history h
        where h.org_id = $1 and h.resource_id = $2 and h.environment = $3 and h.change < $4
        order by h.change desc limit $5
        """,
        resource.org_id,
        resource.id,
        after.environment,
        after.change,
        limit,
    )


async def _current(tx: Transaction, resource: Resource, environment: str) -> Activation | None:
    return await tx.row(
        Activation,
        """
        select a.resource_id, a.environment, a.number, a.activated_by, a.activated_at
        from catalog.activations a
        where a.org_id = $1 and a.resource_id = $2 and a.environment = $3
        """,
        resource.org_id,
        resource.id,
        environment,
    )


async def _move(
    tx: Transaction,
    resource: Resource,
    environment: str,
    number: int,
    *,
    by: UUID,
    at: datetime,
    scopes: frozenset[str],
) -> bool:
    """Write pointer and history together; False when there is no such version."""
    moved = await tx.execute(
        """
        with target as (
            select v.org_id, v.resource_id, v.visibility, v.number
            from catalog.versions v
            where v.org_id = $1 and v.resource_id = $2 and v.number = $4
        ), before as (
            select a.number from catalog.activations a
            where a.org_id = $1 and a.resource_id = $2 and a.environment = $3
        ), pointer as (
            insert into catalog.activations as a (org_id, resource_id, visibility, environment, number, change,
                activated_by, activated_at, scopes)
            select t.org_id, t.resource_id, t.visibility, $3, t.number, 1 + (
                select coalesce(max(h.change), 0) from catalog.activation_history h
                where h.org_id = $1 and h.resource_id = $2 and h.environment = $3
            ), $5::uuid, $6::timestamptz, $7::text[] from target t
            on conflict (org_id, resource_id, environment) do update
                set number = excluded.number, change = a.change + 1, activated_by = excluded.activated_by,
                    activated_at = excluded.activated_at, scopes = excluded.scopes
            returning a.org_id, a.resource_id, a.environment, a.change, a.number
        )
        insert into catalog.activation_history (org_id, resource_id, environment, change, number, previous,
            activated_by, activated_at)
        select p.org_id, p.resource_id, p.environment, p.change, p.number, (select b.number from before b),
            $5::uuid, $6::timestamptz
        from pointer p
        """,
        resource.org_id,
        resource.id,
        environment,
        number,
        by,
        at,
        sorted(scopes),
    )
    return moved == 1
