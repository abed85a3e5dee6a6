"""Units of an org, and which agents are in them: told by identity, kept here, so that grants of a unit count.

A key's unit is none of this: what a key may do is at most what its owner may, so where the key is opens nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from polis.db import Tenant, Transaction
    from polis.proto.identity import Agent, Unit


async def above(db: Tenant, org_id: UUID, principal_id: UUID) -> frozenset[UUID]:
    """The unit that a principal is in and those that this is in; none of a person."""
    found = await db.rows(
        UUID,
        """
        with recursive above as (
            select p.unit_id as id from catalog.placements p where p.org_id = $1 and p.principal_id = $2
            union
            select u.parent_id from catalog.units u join above a on u.org_id = $1 and u.id = a.id
            where u.parent_id is not null
        )
        select id from above order by id
        """,
        org_id,
        principal_id,
    )
    return frozenset(found)


async def keep(tx: Transaction, unit: Unit) -> None:
    """Keep a unit that was made; its parent is given once."""
    await tx.execute(
        """
        insert into catalog.units (org_id, id, parent_id) values ($1, $2, $3)
        on conflict (org_id, id) do nothing
        """,
        unit.org_id,
        unit.id,
        unit.parent_id,
    )


async def drop(tx: Transaction, org_id: UUID, unit_id: UUID) -> None:
    """Forget a unit that is gone: nothing was in it."""
    await tx.execute("delete from catalog.units where org_id = $1 and id = $2", org_id, unit_id)


async def place(tx: Transaction, agent: Agent) -> None:
    """Keep which unit an agent is in now."""
    if agent.unit_id is None:
        await forget(tx, agent.org_id, agent.id)
        return
    await tx.execute(
        """
        insert into catalog.placements (org_id, principal_id, unit_id) values ($1, $2, $3)
        on conflict (org_id, principal_id) do update set unit_id = excluded.unit_id
        """,
        agent.org_id,
        agent.id,
        agent.unit_id,
    )


async def forget(tx: Transaction, org_id: UUID, agent_id: UUID) -> None:
    """Forget where an agent was that is in no unit any more, or gone."""
    await tx.execute(
        "delete from catalog.placements where org_id = $1 and principal_id = $2", org_id, agent_id
    )
