"""Which process executes which run: instances that are seen, runs of those that are not, and the queue.

All of it across orgs, in the database's own time. A process that was taken for dead finds its commits refused by the
epoch of each run, so being wrong about it costs work and harms nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from polis.proto.runtime import Transition
from polis.runtime.shell.records import Claimed, RunRow

if TYPE_CHECKING:
    from polis.db import Database, Transaction


ADMISSION_S = 20.0
"""Within this a run has been admitted and is executed, or the answer to its admission was lost."""


class _ClaimedRow(RunRow, frozen=True):
    epoch: int
    seq: int
    program: str
    input: bytes
    steps: bytes
    lost: int
    paused_s: float
    age_s: float
    attempts: bytes | None
    timeout_s: float | None


async def register(database: Database, name: str, incarnation: UUID) -> None:
    """Begin as this instance. Whoever had the name before is gone: its runs are free at once."""
    async with database.across_orgs() as tx:
        await tx.execute(
            """
            update runtime.instances set name = name || ' ' || incarnation, seen_at = '-infinity' where name = $1
            """,
            name,
        )
        await tx.execute(
            """
            insert into runtime.instances (name, incarnation, seen_at, sessions)
            values ($1, $2, clock_timestamp(), $3)
            """,
            name,
            incarnation,
            database.sessions,
        )


async def rejoin(database: Database, name: str, incarnation: UUID) -> bool:
    """Begin again as this instance, unless another process has the name by now."""
    async with database.across_orgs() as tx:
        joined = await tx.execute(
            """
            insert into runtime.instances (name, incarnation, seen_at, sessions)
            values ($1, $2, clock_timestamp(), $3) on conflict (name) do nothing
            """,
            name,
            incarnation,
            database.sessions,
        )
    return joined == 1


async def leave(database: Database, incarnation: UUID) -> None:
    """End as this instance: its runs are free at once."""
    async with database.across_orgs() as tx:
        await tx.execute(
            "update runtime.instances set seen_at = '-infinity' where incarnation = $1", incarnation
        )


async def beat(database: Database, incarnation: UUID, *, lease_s: float) -> tuple[bool, list[str]]:
    """Be seen. Whether this instance still counts, and the sessions of those that do not any more."""
    async with database.across_orgs() as tx:
        counts = await tx.execute(
            "update runtime.instances set seen_at = clock_timestamp() where incarnation = $1", incarnation
        )
        dead = await tx.rows(
            str,
            """
            select i.sessions from runtime.instances i
            where i.seen_at < clock_timestamp() - make_interval(secs => $1) and i.sessions not in ('', $2)
                and not exists (
                    select from runtime.instances o where o.sessions = i.sessions
                        and o.seen_at >= clock_timestamp() - make_interval(secs => $1)
                )
            order by i.sessions
            """,
            lease_s,
            database.sessions,
        )
    return counts == 1, dead


async def end_sessions(database: Database, sessions: Sequence[str]) -> None:
    """End what dead instances have left open in PostgreSQL, so that nobody waits for the rows that it locked.

    A process that froze in the middle of a transaction holds them for as long as the server waits for its next words.
    """
    async with database.transaction([]) as tx:
        await tx.execute(
            """
            select pg_terminate_backend(pid) from pg_stat_activity
            where usename = current_user and datname = current_database() and application_name = any($1::text[])
            """,
            list(sessions),
        )


async def claim(
    database: Database, incarnation: UUID, *, active: Sequence[UUID], lease_s: float, limit: int
) -> list[Claimed]:
    """Take over open runs that nobody executes.

    They are queued, or have what they waited for, or are of instances that were not seen for a lease or are forgotten by
    now, as that of a frozen process is that accepts a run when it wakes up, or this one's own although it does not execute
    them: the answer to the commit that gave them to it was lost.
    """
    async with database.across_orgs() as tx:
        rows = await tx.rows(
            _ClaimedRow,
            """
            with lost as (
                select r.org_id, r.id from runtime.runs r
                where r.ended_at is null and r.owner is not null and (r.owner <> $1 and not exists (
                    select from runtime.instances i
                    where i.incarnation = r.owner and i.seen_at >= clock_timestamp() - make_interval(secs => $2)
                ) or r.owner = $1 and r.id <> all($4::uuid[])
                    and r.created_at < clock_timestamp() - make_interval(secs => $5))
                order by r.id limit $3 for update skip locked
            ), woken as (
                -- One look at an index, whatever rests: the time of the statement does not change within it.
                select r.org_id, r.id from runtime.runs r
                where r.ended_at is null and r.owner is null and r.wake_at <= statement_timestamp()
                order by r.wake_at, r.id limit $3 for update skip locked
            ), free as (
                select org_id, id from lost union all select org_id, id from woken limit $3
            )
            update runtime.runs r set owner = $1, epoch = r.epoch + 1, seq = r.seq + 1,
                state = case when r.paused_at is not null then 'paused'
                    when r.started_at is null or r.owner is null then 'running' else 'recovering' end,
                lost = case when r.owner is null then r.lost else r.lost + 1 end,
                started_at = coalesce(r.started_at, clock_timestamp())
            from free where r.org_id = free.org_id and r.id = free.id
            returning r.id, r.org_id, r.graph, r.digest, r.state, r.actor_id, r.started_by, r.created_at, r.started_at,
                r.ended_at, r.error, r.tags, r.parent_id, r.origin_id, r.origin_kind, r.origin_step, r.trigger_id,
                r.occurrence, r.epoch, r.seq,
                r.program, r.input, r.steps, r.lost, r.paused_s, r.attempts, r.timeout_s,
                extract(epoch from clock_timestamp() - r.created_at)::float8 as age_s
            """,
            incarnation,
            lease_s,
            limit,
            list(active),
            ADMISSION_S,
        )
        claimed = [
            Claimed(
                row.run,
                row.epoch,
                row.seq,
                row.program,
                row.input,
                row.steps,
                row.age_s,
                row.lost,
                row.paused_s,
                row.attempts,
                row.timeout_s,
            )
            for row in rows
        ]
        await _tell(tx, claimed)
        if len(claimed) < limit:
            await _forget_the_dead(tx, lease_s)
    return claimed


def now_of(claimed: Claimed) -> datetime:
    """The database's time at the claim."""
    return claimed.run.created_at + timedelta(seconds=claimed.age_s)


def transition(claimed: Claimed) -> Transition:
    """What the claim is to those who watch the run."""
    return Transition(claimed.seq, max(0, int(claimed.age_s * 1000)), claimed.run.state)


async def _tell(tx: Transaction, claimed: Sequence[Claimed]) -> None:
    if claimed:
        await tx.execute(
            """
            insert into runtime.transitions (org_id, run_id, last_seq, first_seq, body)
            select org_id, run_id, seq, seq, body
            from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bytea[]) as t (org_id, run_id, seq, body)
            """,
            [c.run.org_id for c in claimed],
            [c.run.id for c in claimed],
            [c.seq for c in claimed],
            [msgspec.json.encode((transition(c),)) for c in claimed],
        )


async def _forget_the_dead(tx: Transaction, lease_s: float) -> None:
    """Instances that are long gone and have left nothing behind.

    A process that froze while it beat holds its row until PostgreSQL ends its transaction: nobody waits for that.
    """
    await tx.execute(
        """
        delete from runtime.instances where incarnation in (
            select i.incarnation from runtime.instances i
            where i.seen_at < clock_timestamp() - make_interval(secs => $1)
                and not exists (select from runtime.runs r where r.owner = i.incarnation and r.ended_at is null)
            for update skip locked
        )
        """,
        lease_s,
    )
