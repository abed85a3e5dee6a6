"""What is looked at from time to time: the queue, this process's lease, and runs that have been at work for too long."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.proto import runtime
from polis.runtime import metrics
from polis.service.rounds import rounds
from polis.telemetry import log

if TYPE_CHECKING:
    from polis.db import Database
    from polis.runtime.config import Config
    from polis.runtime.shell.execution import Execution
    from polis.runtime.shell.executor import Executor

EVERY_S = 1.0
_MOST_COUNTED = 10_000
"""Runs in the queue that are counted; of more it is known that they are too many."""


class Observe:
    """Looks at what this process executes and at what nobody does."""

    def __init__(self, config: Config, database: Database, executor: Executor) -> None:
        self._slow_after_s = config.slow_after_s
        self._database = database
        self._executor = executor

    async def keep(self) -> None:
        await rounds("observing", self.look, every_s=EVERY_S)

    async def look(self) -> None:
        slow = self._slow()
        if slow:
            await self._tell(slow)
        async with self._database.across_orgs() as tx:
            queue = await tx.row(
                _Queue,
                """
                select q.runs, q.lag_s, (
                    select extract(epoch from clock_timestamp() - i.seen_at)::float8 from runtime.instances i
                    where i.incarnation = $1 and i.seen_at > '-infinity'
                ) as lease_age_s
                from (
                    select count(*) as runs,
                        coalesce(extract(epoch from clock_timestamp() - min(w.wake_at)), 0)::float8 as lag_s
                    from (
                        select r.wake_at from runtime.runs r
                        where r.ended_at is null and r.owner is null and r.wake_at <= statement_timestamp()
                        order by r.wake_at limit $2
                    ) w
                ) q
                """,
                self._executor.incarnation,
                _MOST_COUNTED,
            )
        if queue is not None:
            metrics.runs_queued.set(queue.runs)
            metrics.queue_lag.set(queue.lag_s)
            metrics.lease_age.set(queue.lease_age_s or 0.0)

    def _slow(self) -> list[Execution]:
        """Runs that this process has executed for longer than they should take, and has not told of."""
        now, found = time.monotonic(), []
        for _, run_id in self._executor.active:
            live = self._executor.find(run_id)
            if live is None or live.execution.slow_told or live.execution.machine.paused:
                continue
            limit = live.execution.program.graph.slow_after_s or self._slow_after_s
            if now - live.execution.begun > limit:
                found.append(live.execution)
        return found

    async def _tell(self, slow: Sequence[Execution]) -> None:
        """Once a run, whichever processes it goes through."""
        now = time.monotonic()
        executions = {execution.run.id: execution for execution in slow}
        async with self._database.across_orgs() as tx:
            told = await tx.rows(
                UUID,
                """
                update runtime.runs r set slow_at = clock_timestamp()
                from unnest($1::uuid[], $2::uuid[]) as s (org_id, id)
                where r.org_id = s.org_id and r.id = s.id and r.slow_at is null and r.ended_at is null
                returning r.id
                """,
                [execution.run.org_id for execution in slow],
                list(executions),
            )
            for run_id in told:
                execution = executions[run_id]
                run, seconds = execution.run, now - execution.begun
                log.warning("run.slow", org_id=str(run.org_id), run_id=str(run_id), graph=run.graph)
                await tx.emit(runtime.RunSlow(run.org_id, run_id, run.graph, run.actor_id, round(seconds, 3)))
        for execution in slow:
            execution.slow_told = True
        metrics.runs_slow.inc(len(told))


class _Queue(Struct, frozen=True):
    runs: int
    lag_s: float
    lease_age_s: float | None
