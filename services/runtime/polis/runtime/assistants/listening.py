"""Whether what is said to an agent reaches its graph by now: its triggers are effective, and their events are delivered here."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from polis.db import Database

WITHIN_S = 5.0
"""Who installs an assistant waits for so long at the most; it will listen a moment later."""
_LOOK_S = 0.05


async def listening(database: Database, org_id: UUID, resource_id: UUID, number: int) -> bool:
    """Return when it does, or it takes too long."""
    loop = asyncio.get_running_loop()
    end = loop.time() + WITHIN_S
    while True:
        heard = await _heard(database, org_id, resource_id, number)
        if heard or loop.time() >= end:
            return heard
        await asyncio.sleep(_LOOK_S)


async def _heard(database: Database, org_id: UUID, resource_id: UUID, number: int) -> bool:
    async with database.across_orgs() as tx:
        heard: bool = await tx.value(
            """
            select count(*) > 0 and coalesce(bool_and(l.event is null or exists (
                select from runtime.trigger_feeds f where f.source = split_part(l.event, '.', 1)
                    and f.subjects && array['event.' || l.event || '.' || t.org_id || '.*', 'event.' || l.event || '.*.*']
            )), false)
            from runtime.triggers t left join unnest(t.listens) as l (event) on true
            where t.org_id = $1 and t.resource_id = $2 and t.number = $3 and t.ended_at is null
            """,
            org_id,
            resource_id,
            number,
        )
    return heard
