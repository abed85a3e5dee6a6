"""Rows of units: a tree whose parents are given once."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from polis.db import UniqueViolation
from polis.proto import Refused
from polis.proto.identity import (
    ListUnits,
    Unit,
    UnitCreated,
    UnitDeleted,
    UnitInUse,
    UnitKeyTaken,
    UnitMisplaced,
    UnitNotFound,
    UnitRenamed,
)

if TYPE_CHECKING:
    from polis.db import Tenant, Transaction

MAX_DEPTH = 16
"""Units above one another. A new unit that would lie deeper is misplaced."""
_INSIDE = {
    "project": frozenset({""}),
    "application": frozenset({"", "project"}),
    "service": frozenset({"", "project", "application", "service"}),
}
"""Of what a unit of a kind may be a part; the empty name is the org."""


async def create(tx: Transaction, unit: Unit) -> None:
    """Store a new unit, and tell. Refused(UnitNotFound) of its parent, Refused(UnitMisplaced), Refused(UnitKeyTaken)."""
    parent = "" if unit.parent_id is None else (await share(tx, unit.org_id, unit.parent_id)).kind
    if parent not in _INSIDE[unit.kind] or await _depth(tx, unit) >= MAX_DEPTH:
        raise Refused(UnitMisplaced(kind=unit.kind, parent=parent))
    try:
        await tx.execute(
            """
            insert into identity.units (org_id, id, kind, key, name, parent_id, created_by, created_at)
            values ($1, $2, $3, $4, $5, $6, $7, $8)
            """,
            unit.org_id,
            unit.id,
            unit.kind,
            unit.key,
            unit.name,
            unit.parent_id,
            unit.created_by,
            unit.created_at,
        )
    except UniqueViolation as violation:
        if violation.constraint != "units_key":
            raise
        raise Refused(UnitKeyTaken(key=unit.key)) from None
    await tx.emit(UnitCreated(unit.org_id, unit.id, unit))


async def page(db: Tenant, org_id: UUID, request: ListUnits, after: str | None, limit: int) -> list[Unit]:
    return await db.rows(
        Unit,
        """
        select id, org_id, kind, key, name, parent_id, created_by, created_at
        from identity.units
        where org_id = $1 and key > $2
            and ($4::text is null or kind = $4)
            and ($5::uuid is null or parent_id = $5)
        order by key
        limit $3
        """,
        org_id,
        after or "",
        limit,
        request.kind,
        request.parent_id,
    )


async def get(db: Tenant | Transaction, org_id: UUID, unit_id: UUID) -> Unit:
    """Refused(UnitNotFound)."""
    unit = await db.row(
        Unit,
        """
        select id, org_id, kind, key, name, parent_id, created_by, created_at
        from identity.units
        where org_id = $1 and id = $2
        """,
        org_id,
        unit_id,
    )
    if unit is None:
        raise Refused(UnitNotFound(unit_id=unit_id))
    return unit


async def share(tx: Transaction, org_id: UUID, unit_id: UUID) -> Unit:
    """As `get`; the unit stays until the transaction ends."""
    await tx.value(
        "select true from identity.units where org_id = $1 and id = $2 for key share", org_id, unit_id
    )
    return await get(tx, org_id, unit_id)


async def chain(db: Tenant | Transaction, org_id: UUID, unit_id: UUID | None) -> frozenset[UUID]:
    """A unit and those that it is in; none of none."""
    found = await db.rows(
        UUID,
        """
        with recursive above as (
            select u.id, u.parent_id from identity.units u where u.org_id = $1 and u.id = $2
            union all
            select u.id, u.parent_id from identity.units u join above a on u.org_id = $1 and u.id = a.parent_id
        )
        select id from above order by id
        """,
        org_id,
        unit_id,
    )
    return frozenset(found)


async def rename(tx: Transaction, org_id: UUID, unit_id: UUID, name: str) -> Unit:
    """Refused(UnitNotFound)."""
    unit = msgspec.structs.replace(await get(tx, org_id, unit_id), name=name)
    await tx.execute(
        "update identity.units set name = $3 where org_id = $1 and id = $2", org_id, unit_id, name
    )
    await tx.emit(UnitRenamed(org_id, unit_id, unit))
    return unit


async def delete(tx: Transaction, org_id: UUID, unit_id: UUID) -> None:
    """Delete a unit that nothing is in, and tell. Refused(UnitNotFound), Refused(UnitInUse)."""
    await tx.value(
        "select true from identity.units where org_id = $1 and id = $2 for update", org_id, unit_id
    )
    await get(tx, org_id, unit_id)
    used = await tx.value(
        """
        select true where exists (select from identity.units where org_id = $1 and parent_id = $2)
            or exists (select from identity.agents where org_id = $1 and unit_id = $2)
            or exists (select from identity.api_keys where org_id = $1 and unit_id = $2)
        """,
        org_id,
        unit_id,
    )
    if used:
        raise Refused(UnitInUse(unit_id=unit_id))
    await tx.execute("delete from identity.units where org_id = $1 and id = $2", org_id, unit_id)
    await tx.emit(UnitDeleted(org_id, unit_id))


async def _depth(tx: Transaction, unit: Unit) -> int:
    return len(await chain(tx, unit.org_id, unit.parent_id))
