"""Runs of agents that began a moment too late: by a token that still held, written when their agent's others were cancelled.

An insert that acts as somebody else's agent is refused in the database (`standing`). An agent that starts a run as itself
takes no lock there, for users do so by the thousand: it is looked for afterwards, for as long as a request may take.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.proto import Refused, runtime
from polis.runtime.runs import store
from polis.service.rounds import rounds

if TYPE_CHECKING:
    from polis.db import Database
    from polis.runtime.shell.executor import Executor

LOOK_S = 1.0
_BY_OTHERS_S = 30.0
"""What a process heard that has died since is seen by another while it may still matter."""
_WHY = runtime.RunError("", "agent.stopped", "the agent that it acts as was stopped while it began")


class _Late(Struct, frozen=True):
    org_id: UUID
    id: UUID


class Latecomers:
    """Looks for as long as an agent was stopped within the last minute. `heard`: one was stopped just now."""

    def __init__(self, database: Database, executor: Executor) -> None:
        self.heard = asyncio.Event()
        self._database = database
        self._executor = executor

    async def keep(self) -> None:
        await rounds("latecomers", self._look, every_s=_BY_OTHERS_S, wake=self.heard)

    async def _look(self) -> float | None:
        """Cancel what has begun since; when to look again while more may come."""
        async with self._database.across_orgs() as tx:
            stopped = await tx.rows(
                _Late,
                """
                select org_id, agent_id as id from runtime.stopped_agents
                where stopped_at > clock_timestamp() - interval '1 minute' order by org_id, agent_id
                """,
            )
            if not stopped:
                return None
            late = await tx.rows(
                _Late,
                """
                select r.org_id, r.id from unnest($1::uuid[], $2::uuid[]) as s (org_id, id) cross join lateral (
                    select o.org_id, o.id from runtime.runs o
                    where o.org_id = s.org_id and o.actor_id = s.id and o.ended_at is null offset 0
                ) r order by r.org_id, r.id
                """,
                [agent.org_id for agent in stopped],
                [agent.id for agent in stopped],
            )
        for run in late:
            await self._cancel(run)
        return LOOK_S

    async def _cancel(self, late: _Late) -> None:
        async with self._database.transaction([late.org_id]) as tx:
            now = await tx.value("select clock_timestamp()")
            try:
                run, transitions = await store.cancel(tx, late.id, now, _WHY)
            except Refused as refusal:
                if not isinstance(refusal.problem, runtime.RunEnded | runtime.RunNotFound):
                    raise
                return
        self._executor.cancelled(run, transitions)
