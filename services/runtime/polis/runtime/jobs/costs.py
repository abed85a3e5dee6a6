"""What jobs have cost whose outcome nobody took: their run was cancelled, or another worker, or the time, was faster. It is told all the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.proto.runtime import AttemptFacts, AttemptsOfStep

if TYPE_CHECKING:
    from polis.db import Tenant, Transaction

_MOST = 1_000
"""Jobs of one run whose costs are told apart from its attempts."""


class Untaken(Struct, frozen=True):
    """A job that has cost what its outcome does not say. Times are milliseconds since the run was created."""

    node: str
    item: str
    cost: int
    began_ms: int
    closed_ms: int


async def report(tx: Transaction, job_id: UUID, token: int, worker_id: UUID, cost: int) -> None:
    """What a worker says whose claim holds no more, once for each claim.

    Who held it last may have brought the outcome that counts, and says its cost in that: any but the one that the wait
    held for when it was due.
    """
    await tx.execute(
        """
        update runtime.jobs j set untold = j.untold + $5, told = j.told || $3::integer
        from runtime.waits w
        where j.org_id = $1 and j.id = $2 and $3 <> all (j.told) and w.org_id = j.org_id and w.id = j.id and (
                j.token > $3 and j.workers[$3] = $4
                or j.token = $3 and j.worker_id = $4 and w.closed_at is not null and not exists (
                    select from runtime.journal o where o.org_id = w.org_id and o.run_id = w.run_id
                        and o.node = w.node and o.item = w.item and o.body is distinct from w.late offset 0))
        """,
        tx.org_id,
        job_id,
        token,
        worker_id,
        cost,
    )


async def untaken(db: Tenant, run_id: UUID) -> list[Untaken]:
    """Jobs of a run that have cost something that no outcome says."""
    return await db.rows(
        Untaken,
        """
        -- Each by its index: without `offset` all jobs of the org may be gone through.
        select w.node, w.item, j.untold + case when done.yes is null then j.cost else 0 end as cost,
            greatest(0, extract(epoch from w.created_at - r.created_at) * 1000)::bigint as began_ms,
            greatest(0, extract(epoch from w.closed_at - r.created_at) * 1000)::bigint as closed_ms
        from runtime.runs r cross join lateral (
            select o.* from runtime.waits o
            where o.org_id = r.org_id and o.run_id = r.id and o.kind = 'job' and o.closed_at is not null offset 0
        ) as w cross join lateral (
            select o.cost, o.untold from runtime.jobs o
            where o.org_id = w.org_id and o.id = w.id and o.cost + o.untold > 0 offset 0
        ) as j left join lateral (
            select true as yes from runtime.journal o where o.org_id = w.org_id and o.run_id = w.run_id
                and o.node = w.node and o.item = w.item offset 0
        ) as done on true
        where r.org_id = $1 and r.id = $2 and (j.untold > 0 or done.yes is null)
        order by w.created_at, w.id limit $3
        """,
        db.org_id,
        run_id,
        _MOST,
    )


def told(attempts: Sequence[AttemptsOfStep], those: Sequence[Untaken]) -> tuple[AttemptsOfStep, ...]:
    """The attempts of a run with these costs: at the last one of each job, or as one of its own where none was kept."""
    steps = {step.node: step for step in attempts}
    for job in those:
        step = steps.get(job.node) or AttemptsOfStep(job.node, 0, ())
        at = next(
            (n for n, known in reversed(list(enumerate(step.attempts))) if known.item == job.item), None
        )
        kept = list(step.attempts)
        if at is None:
            kept.append(AttemptFacts(job.item, 1, job.began_ms, job.closed_ms, cost=job.cost))
        else:
            cost = (kept[at].cost or 0) + job.cost
            kept[at] = msgspec.structs.replace(
                kept[at], cost=cost, ended_ms=kept[at].ended_ms or job.closed_ms
            )
        total = max(step.total, len(kept))
        steps[job.node] = AttemptsOfStep(job.node, total, tuple(kept))
    return tuple(steps.values())
