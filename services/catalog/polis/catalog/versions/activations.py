"""Rows of activations: which version an environment uses, and every time that this changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polis.proto import Refused
from polis.proto.catalog import Activation, VersionActivated, VersionNotFound

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from polis.db import Transaction
    from polis.proto.catalog import Resource


async def activate(
    tx: Transaction, resource: Resource, environment: str, number: int, *, by: UUID, at: datetime
) -> Activation:
    """Point an environment at a version of a locked resource; where it points there already, nothing happens.

    Refused(VersionNotFound).
    """
    current = await _current(tx, resource, environment)
    if current is not None and current.number == number:
        return current
    if not await _move(tx, resource, environment, number, by=by, at=at):
        raise Refused(VersionNotFound(version=str(number)))
    await tx.emit(VersionActivated(resource.org_id, resource.id, environment, number))
    return Activation(resource.id, environment, number, by, at)


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
    tx: Transaction, resource: Resource, environment: str, number: int, *, by: UUID, at: datetime
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
                activated_by, activated_at)
            select t.org_id, t.resource_id, t.visibility, $3, t.number, 1, $5::uuid, $6::timestamptz from target t
            on conflict (org_id, resource_id, environment) do update
                set number = excluded.number, change = a.change + 1, activated_by = excluded.activated_by,
                    activated_at = excluded.activated_at
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
    )
    return moved == 1
