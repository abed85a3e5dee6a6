"""Jobs as the database has them: claimed, kept, and given back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.proto import Refused
from polis.proto.runtime import Job, JobLost, JobNotFound
from polis.runtime.custom.job import KIND, Offer
from polis.runtime.engine.activation import Failure, Recorded
from polis.runtime.waits import OpenWait

if TYPE_CHECKING:
    from polis.db import Transaction

_RETRY_S, _LONGEST_RETRY_S = 1.0, 60.0
"""Before a job that failed is offered again: doubled with each attempt."""

_encode = msgspec.json.Encoder().encode
_offer = msgspec.json.Decoder(Offer)
_recorded = msgspec.json.Decoder(Recorded)
_LOST = Failure("job.lost", "no worker brought an outcome: the last one was not heard of any more")


class _Claimed(Struct, frozen=True):
    id: UUID
    run_id: UUID
    name: str
    data: bytes
    token: int
    until: datetime


class _Free(Struct, frozen=True):
    id: UUID
    data: bytes
    token: int
    cost: int


class _Claim(Struct, frozen=True):
    token: int
    worker_id: UUID
    cost: int


class Overdue(Struct, frozen=True):
    """A job whose time has come. silent: not because it has taken too long, but as nothing was heard of its last worker."""

    id: UUID
    silent: bool


class Held(Struct, frozen=True):
    """A job that is still its claimer's. cost: of the attempts that were given back."""

    wait: OpenWait
    offer: Offer
    token: int
    cost: int


async def claim(tx: Transaction, components: Sequence[str], worker_id: UUID, limit: int) -> list[Job]:
    """Claim what waits the longest and is nobody's. What another claims at the same moment is passed over."""
    free = await tx.rows(
        _Free,
        """
        select w.id, w.data, coalesce(j.token, 0) as token, coalesce(j.cost, 0) as cost
        from runtime.waits w left join runtime.jobs j on j.org_id = w.org_id and j.id = w.id
        where w.org_id = $1 and w.kind = 'job' and w.name = any($2::text[]) and w.closed_at is null
            and (j.free_at is null or j.free_at <= clock_timestamp())
        order by w.created_at, w.id limit $3 for update of w skip locked
        """,
        tx.org_id,
        sorted(set(components)),
        limit,
    )
    offers = {row.id: _offer.decode(row.data) for row in free}
    wanted = [row for row in free if row.token < offers[row.id].attempts]
    if not wanted:
        return []
    claimed = await _take(tx, wanted, offers, worker_id)
    return [_job(row, offers[row.id]) for row in claimed]


async def _take(
    tx: Transaction, free: Sequence[_Free], offers: dict[UUID, Offer], worker_id: UUID
) -> list[_Claimed]:
    """Make jobs somebody's. At the last attempt the wait itself is due when the lease is: then it has failed.

    Whether a job is free is asked once more: what was read may be from before somebody else let go of the lock.
    """
    return await tx.rows(
        _Claimed,
        """
        with taken as (
            insert into runtime.jobs as j (org_id, id, worker_id, workers, token, attempts, free_at, due_at)
            select $1, w.id, $2, array[$2::uuid], 1, t.attempts, clock_timestamp() + make_interval(secs => t.lease_s), w.due_at
            from unnest($3::uuid[], $4::integer[], $5::float8[]) as t (id, attempts, lease_s)
            join runtime.waits w on w.org_id = $1 and w.id = t.id and w.closed_at is null
            on conflict (org_id, id) do update
                set worker_id = excluded.worker_id, workers[j.token + 1] = excluded.worker_id, token = j.token + 1,
                    free_at = excluded.free_at
                where j.free_at <= clock_timestamp()
            returning id, token, attempts, free_at, due_at
        ), last as (
            update runtime.waits w set due_at = least(t.due_at, t.free_at), late = case
                when t.free_at < coalesce(t.due_at, 'infinity') then l.late else w.late end
            from taken t join unnest($3::uuid[], $6::bytea[]) as l (id, late) on l.id = t.id
            where w.org_id = $1 and w.id = t.id and t.token >= t.attempts
        )
        select t.id, w.run_id, w.name, w.data, t.token, least(t.free_at, t.due_at) as until
        from taken t join runtime.waits w on w.org_id = $1 and w.id = t.id order by w.created_at, w.id
        """,
        tx.org_id,
        worker_id,
        [row.id for row in free],
        [offers[row.id].attempts for row in free],
        [offers[row.id].lease_s for row in free],
        [_encode(Recorded(failure=_LOST, cost=row.cost)) for row in free],
    )


async def hold(tx: Transaction, job_id: UUID, token: int, worker_id: UUID, *, ends: bool = False) -> Held:
    """A job that this worker has claimed and nobody since, locked. Refused(JobNotFound), Refused(JobLost).

    Everybody locks runs, waits and jobs in this order; the run only who brings an outcome.
    """
    if ends:
        await tx.execute(
            """
            select from runtime.runs r join runtime.waits w on w.org_id = r.org_id and w.run_id = r.id
            where w.org_id = $1 and w.id = $2 for update of r
            """,
            tx.org_id,
            job_id,
        )
    wait = await tx.row(
        OpenWait,
        """
        select id, org_id, run_id, node, item, kind, name, due_at, data, created_at
        from runtime.waits where org_id = $1 and id = $2 and kind = $3 and closed_at is null for update
        """,
        tx.org_id,
        job_id,
        KIND,
    )
    now = await tx.row(
        _Claim,
        "select token, worker_id, cost from runtime.jobs where org_id = $1 and id = $2",
        tx.org_id,
        job_id,
    )
    if wait is None or now is None:
        raise Refused(JobNotFound(job_id=job_id))
    if (now.token, now.worker_id) != (token, worker_id):
        raise Refused(JobLost(job_id=job_id))
    return Held(wait, _offer.decode(wait.data), token, now.cost)


async def keep(tx: Transaction, held: Held) -> datetime:
    """Move a lease on; until when it holds."""
    until: datetime = await tx.value(
        """
        with kept as (
            update runtime.jobs set free_at = clock_timestamp() + make_interval(secs => $3)
            where org_id = $1 and id = $2 returning org_id, id, token, attempts, free_at, due_at
        ), moved as (
            update runtime.waits w set due_at = least(k.due_at, k.free_at)
            from kept k where w.org_id = k.org_id and w.id = k.id and k.token >= k.attempts
        )
        select least(free_at, due_at) from kept
        """,
        tx.org_id,
        held.wait.id,
        held.offer.lease_s,
    )
    return until


async def overdue(tx: Transaction, job_ids: Sequence[UUID]) -> list[Overdue]:
    """Those of these jobs whose time has come, and was not moved on meanwhile; locked."""
    return await tx.rows(
        Overdue,
        """
        select w.id, coalesce(j.token >= j.attempts and coalesce(j.due_at, 'infinity') > clock_timestamp(), false) as silent
        from runtime.waits w left join runtime.jobs j on j.org_id = w.org_id and j.id = w.id
        where w.id = any($1::uuid[]) and w.closed_at is null and w.due_at <= clock_timestamp()
        order by w.id for update of w
        """,
        list(job_ids),
    )


def lease_s_of(wait: OpenWait) -> float:
    return _offer.decode(wait.data).lease_s


async def put_off(tx: Transaction, left_s: dict[UUID, float]) -> None:
    """Have locked jobs be their claimers' for so many seconds more."""
    await tx.execute(
        """
        with kept as (
            update runtime.jobs j set free_at = clock_timestamp() + make_interval(secs => l.left_s)
            from unnest($1::uuid[], $2::float8[]) as l (id, left_s)
            join runtime.waits w on w.id = l.id
            where j.org_id = w.org_id and j.id = w.id
            returning j.org_id, j.id, j.free_at, j.due_at
        )
        update runtime.waits w set due_at = least(k.due_at, k.free_at)
        from kept k where w.org_id = k.org_id and w.id = k.id
        """,
        list(left_s),
        list(left_s.values()),
    )


async def give_back(tx: Transaction, held: Held, cost: int) -> None:
    """Offer a job again, after a while. What it has cost counts with the outcome, also where nobody brings one in time."""
    cost += held.cost
    await tx.execute(
        """
        update runtime.jobs set free_at = clock_timestamp() + make_interval(secs => $3), cost = $4
        where org_id = $1 and id = $2
        """,
        tx.org_id,
        held.wait.id,
        min(_LONGEST_RETRY_S, _RETRY_S * 2.0 ** (held.token - 1)),
        cost,
    )
    if cost > held.cost:
        named = tx.org_id, held.wait.id
        late = _recorded.decode(
            await tx.value("select late from runtime.waits where org_id = $1 and id = $2", *named)
        )
        await tx.execute(
            "update runtime.waits set late = $3 where org_id = $1 and id = $2",
            *named,
            _encode(msgspec.structs.replace(late, cost=cost)),
        )


def _job(row: _Claimed, offer: Offer) -> Job:
    return Job(
        id=row.id,
        component=row.name,
        run_id=row.run_id,
        key=offer.key,
        config=offer.config,
        inputs=offer.inputs,
        token=row.token,
        attempt=row.token,
        attempts=offer.attempts,
        lease_s=offer.lease_s,
        until=row.until,
    )
