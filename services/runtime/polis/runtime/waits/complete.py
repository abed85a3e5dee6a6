"""Bringing the outcome of a wait: from any process, in one transaction, once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.runtime.engine.activation import Recorded
from polis.runtime.engine.attempts import MAX_RESULT_BYTES
from polis.runtime.engine.outside import undoable
from polis.runtime.waits import kinds
from polis.runtime.waits.rows import OpenWait

if TYPE_CHECKING:
    from polis.db import Transaction
_encode = msgspec.json.Encoder().encode
_recorded = msgspec.json.Decoder(Recorded)


class Completed(Struct, frozen=True):
    """A run that goes on. Once this is committed, it is told to the processes; one that is not goes on at the next beat."""

    org_id: UUID
    run_id: UUID


class Outcome(Struct, frozen=True):
    """What is brought for a wait; None: what it holds for when it is due."""

    wait: OpenWait
    body: bytes | None


class _Locked(Struct, frozen=True):
    """A run, and a wait of it (of those at hand) whose outcome is given what it is undone by."""

    id: UUID
    open: bool
    wait_id: UUID | None
    undo: bytes | None


class Told(Protocol):
    """Who tells the processes that something has changed in runs."""

    def tell(self, runs: Iterable[UUID]) -> None: ...


async def complete(tx: Transaction, wait: OpenWait, outcome: Recorded, peers: Told) -> bool:
    """Bring the outcome of a wait. False, and nothing has happened, when it was closed before or its run has ended.

    ValueError when it has more bytes than an outcome may have.
    """
    body = _encode(outcome)
    if len(body) > MAX_RESULT_BYTES:
        raise ValueError(f"{len(body):,} bytes of JSON; {MAX_RESULT_BYTES:,} are the most")
    done = await complete_all(tx, [Outcome(wait, body)], "completed")
    if done:
        tx.after_commit(lambda: peers.tell([wait.run_id]))
    return bool(done)


async def complete_all(tx: Transaction, brought: Sequence[Outcome], why: kinds.Why) -> list[Completed]:
    """Bring many: the runs that go on.

    The rows of the runs are locked first, in the order of their ids: whoever ends or parks one of them comes before, and
    then nothing is written, or after, and then finds the outcome counted.
    """
    waits = {(b.wait.org_id, b.wait.run_id): b.wait for b in brought}
    runs = sorted(waits)
    locked = await tx.rows(
        _Locked,
        """
        select r.id, r.ended_at is null as open, n.id as wait_id, n.undo
        from runtime.runs r join unnest($1::uuid[], $2::uuid[]) as g (org_id, id) on r.org_id = g.org_id and r.id = g.id
        left join lateral (
            select w.id, w.undo from runtime.waits w
            where w.id = any($3::uuid[]) and w.org_id = r.org_id and w.run_id = r.id and w.undo is not null offset 0
        ) n on true
        order by r.org_id, r.id for update of r
        """,
        [org_id for org_id, _ in runs],
        [run_id for _, run_id in runs],
        [b.wait.id for b in brought],
    )
    open_runs = {run.id for run in locked if run.open}
    undo = {run.wait_id: run.undo for run in locked if run.wait_id is not None}
    brought = [b for b in brought if b.wait.run_id in open_runs]
    if why == "due":
        over = await kinds.over(tx, [b.wait for b in brought])
        brought = [b for b in brought if b.wait.id in over]
    if not brought:
        return []
    closed = await tx.rows(
        OpenWait,
        """
        with closed as (
            update runtime.waits w set closed_at = clock_timestamp()
            from unnest($1::uuid[], $2::uuid[], $3::bytea[]) as b (org_id, id, body)
            where w.org_id = b.org_id and w.id = b.id and w.closed_at is null
            returning w.id, w.org_id, w.run_id, w.node, w.item, w.kind, w.name, w.due_at, w.data, w.created_at,
                coalesce(b.body, w.late) as body
        ), kept as (
            insert into runtime.journal (org_id, run_id, node, item, body)
            select org_id, run_id, node, item, body from closed
        ), counted as (
            update runtime.runs r set completions = r.completions + c.n,
                wake_at = case when r.owner is null and r.paused_at is null then clock_timestamp() else r.wake_at end
            from (select org_id, run_id, count(*)::integer as n from closed group by org_id, run_id) as c
            where r.org_id = c.org_id and r.id = c.run_id
        )
        select id, org_id, run_id, node, item, kind, name, due_at, data, created_at from closed order by id
        """,
        [b.wait.org_id for b in brought],
        [b.wait.id for b in brought],
        [_noted(b.body, undo.get(b.wait.id)) for b in brought],
    )
    await kinds.closed(tx, closed, why)
    return [Completed(*run) for run in sorted({(wait.org_id, wait.run_id) for wait in closed})]


def _noted(body: bytes | None, undo: bytes | None) -> bytes | None:
    return body if body is None or undo is None else _encode(undoable(_recorded.decode(body), undo))
