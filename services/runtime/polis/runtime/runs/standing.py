"""Agents that were stopped: no run begins to act as one of them, not even one that was asked for before and is written later."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from datetime import datetime

    from polis.db import Transaction

_KEPT = timedelta(hours=1)
"""Far longer than the minute in which one counts (`demand_standing`): behind that identity tells who asks."""


async def stop(tx: Transaction, agent_id: UUID, at: datetime) -> None:
    """Let no run be inserted that acts as this agent; those that are being inserted are waited for."""
    await tx.execute(
        "select pg_advisory_xact_lock(hashtextextended('runtime.agents ' || $1::text, 0))", str(agent_id)
    )
    await tx.execute(
        "delete from runtime.stopped_agents where org_id = $1 and stopped_at < $2", tx.org_id, at - _KEPT
    )
    await tx.execute(
        """
        insert into runtime.stopped_agents (org_id, agent_id, stopped_at) values ($1, $2, clock_timestamp())
        on conflict (org_id, agent_id) do update set stopped_at = excluded.stopped_at
        """,
        tx.org_id,
        agent_id,
    )


async def resume(tx: Transaction, agent_id: UUID) -> None:
    await tx.execute(
        "delete from runtime.stopped_agents where org_id = $1 and agent_id = $2", tx.org_id, agent_id
    )
