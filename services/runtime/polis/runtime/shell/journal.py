"""The commits of all runs of this process, grouped: admissions, and what happened since, each fenced in its statement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.db import Caller, GroupCommit
from polis.db.errors import ConstraintViolation
from polis.proto import Refused, runtime
from polis.runtime import metrics
from polis.runtime.shell.records import Admission, Flush, Written
from polis.runtime.waits import written as waits

if TYPE_CHECKING:
    from polis.db import Database, Deadline, Transaction
    from polis.proto import Event
    from polis.proto.runtime import Run

_encode = msgspec.json.Encoder().encode
_ACTOR_STANDS = "runs_actor_stands"
"""What refuses a run whose agent was stopped while it was being started."""


class Journal:
    """Where this process writes its runs. `owner` is the incarnation under which it holds them."""

    def __init__(self, database: Database, owner: UUID) -> None:
        self.owner = owner
        self._admissions: GroupCommit[Admission, None] = GroupCommit(database, _admit_each)
        self._flushes: GroupCommit[Flush, Written] = GroupCommit(database, self._flush)

    async def admit(self, admission: Admission, *, deadline: Deadline | None = None) -> None:
        """Accept a run: when this returns, it is durable, with its events."""
        await self._admissions.put(admission.org_id, admission, deadline=deadline)

    async def flush(self, flush: Flush) -> Written:
        """Write what happened, unless the run is not this process's any more, or has ended: then nothing is written.

        Repeating a flush whose answer was lost is harmless.
        """
        return await self._flushes.put(flush.org_id, flush)

    async def _flush(
        self, tx: Transaction, callers: Sequence[Caller], flushes: Sequence[Flush]
    ) -> Sequence[Written]:
        metrics.flushed_together.observe(len(flushes))
        return await write_flushes(tx, callers, flushes, owner=self.owner)


async def _admit_each(
    tx: Transaction, callers: Sequence[Caller], admissions: Sequence[Admission]
) -> Sequence[None]:
    metrics.admitted_together.observe(len(admissions))
    await admit(tx, callers, admissions)
    return [None] * len(admissions)


async def admit(tx: Transaction, callers: Sequence[Caller], admissions: Sequence[Admission]) -> None:
    """Insert runs with their first transitions and their events. Refused(AgentUnknown) when an agent was stopped meanwhile."""
    try:
        await _insert(tx, callers, admissions)
    except ConstraintViolation as violation:
        if violation.constraint != _ACTOR_STANDS:
            raise
        raise Refused(runtime.AgentUnknown(agent=str(admissions[0].run.actor_id))) from None


async def _insert(tx: Transaction, callers: Sequence[Caller], admissions: Sequence[Admission]) -> None:
    orgs = [caller.org_id for caller in callers]
    await _keep_programs(tx, orgs, admissions)
    runs = [a.run for a in admissions]
    await tx.execute(
        """
        with admitted as (
            insert into runtime.runs (org_id, id, graph, digest, program, state, actor_id, started_by, created_at,
                started_at, ended_at, seq, input, steps, output, error, owner, epoch, tags, parent_id, origin_id,
                origin_kind, origin_step, wake_at, attempts)
            select org_id, id, graph, digest, program, state, actor_id, started_by, created_at, started_at, ended_at,
                seq, input, steps, output, error, owner, 1, string_to_array(tags, ' '), parent_id, origin_id, origin_kind,
                origin_step, created_at, attempts
            from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::uuid[],
                $8::uuid[], $9::timestamptz[], $10::timestamptz[], $11::timestamptz[], $12::bigint[], $13::bytea[],
                $14::bytea[], $15::bytea[], $16::bytea[], $17::uuid[], $19::text[], $20::uuid[], $21::uuid[],
                $22::text[], $23::text[], $24::bytea[])
            as a (org_id, id, graph, digest, program, state, actor_id, started_by, created_at, started_at, ended_at,
                seq, input, steps, output, error, owner, tags, parent_id, origin_id, origin_kind, origin_step,
                attempts)
        )
        insert into runtime.transitions (org_id, run_id, last_seq, first_seq, body)
        select org_id, run_id, last_seq, 1, body
        from unnest($1::uuid[], $2::uuid[], $12::bigint[], $18::bytea[]) as t (org_id, run_id, last_seq, body)
        """,
        orgs,
        [run.id for run in runs],
        [run.graph for run in runs],
        [run.digest for run in runs],
        [a.program for a in admissions],
        [run.state for run in runs],
        [run.actor_id for run in runs],
        [run.started_by for run in runs],
        [run.created_at for run in runs],
        [run.started_at for run in runs],
        [run.ended_at for run in runs],
        [a.transitions[-1].seq for a in admissions],
        [a.input for a in admissions],
        [_encode(a.steps) for a in admissions],
        [a.output for a in admissions],
        [_error(run) for run in runs],
        [a.owner for a in admissions],
        [_encode(a.transitions) for a in admissions],
        [" ".join(run.tags) or None for run in runs],
        [run.parent_id for run in runs],
        [run.origin and run.origin.run_id for run in runs],
        [run.origin and run.origin.kind for run in runs],
        [run.origin and run.origin.step for run in runs],
        [a.attempts for a in admissions],
    )
    await _keep_tags(tx, orgs, runs)
    for caller, run in zip(callers, runs, strict=True):
        started = runtime.RunStarted(org_id=run.org_id, run_id=run.id, graph=run.graph, actor_id=run.actor_id)
        await tx.emit(started, trace=caller.trace)
        for event in end_events(run):
            await tx.emit(event, trace=caller.trace)


async def _keep_tags(tx: Transaction, orgs: Sequence[UUID], runs: Sequence[Run]) -> None:
    rows = [(org, tag, run.id) for org, run in zip(orgs, runs, strict=True) for tag in run.tags]
    if rows:
        await tx.execute(
            """
            insert into runtime.run_tags (org_id, tag, run_id)
            select distinct org_id, tag, run_id from unnest($1::uuid[], $2::text[], $3::uuid[])
                as t (org_id, tag, run_id)
            """,
            [org for org, _, _ in rows],
            [tag for _, tag, _ in rows],
            [run_id for _, _, run_id in rows],
        )


async def _keep_programs(tx: Transaction, orgs: Sequence[UUID], admissions: Sequence[Admission]) -> None:
    new = {
        (org, a.program): a.content for org, a in zip(orgs, admissions, strict=True) if a.content is not None
    }
    if new:
        await tx.execute(
            """
            insert into runtime.programs (org_id, digest, content)
            select org_id, digest, content from unnest($1::uuid[], $2::text[], $3::bytea[])
                as p (org_id, digest, content)
            order by org_id, digest
            on conflict (org_id, digest) do update set used_at = now()
            """,
            [org for org, _ in new],
            [digest for _, digest in new],
            list(new.values()),
        )


class _Own(Struct, frozen=True):
    id: UUID
    paused: bool


async def write_flushes(
    tx: Transaction, callers: Sequence[Caller], flushes: Sequence[Flush], *, owner: UUID
) -> list[Written]:
    """Write what happened in runs of this owner; which of them were still its own and open, and which are paused.

    Locking or updating the run's row is the fence: a cancel or another owner comes before it, and then nothing is
    written, or after it. Outcomes, transitions and events follow from the rows that were found. It stands behind `is true`,
    where no index is seen in it: by that of a process's open runs each of them would be compared with each flush.
    """
    taken = [(caller.org_id, f) for caller, f in zip(callers, flushes, strict=True)]
    told = [(org, f) for org, f in taken if f.transitions]
    quiet = [(org, f) for org, f in taken if not f.transitions]
    outcomes = [(org, f.run.id, o) for org, f in taken for o in f.outcomes]
    written = await tx.rows(
        _Own,
        """
        with flushed as (
            update runtime.runs r set
                state = case when f.ended_at is not null then f.state when r.paused_at is not null then 'paused'
                    when f.state = 'paused' then 'running' else f.state end,
                started_at = f.started_at, ended_at = f.ended_at, seq = f.seq,
                steps = f.steps, output = f.output, error = f.error, attempts = coalesce(f.attempts, r.attempts),
                owner = case when f.ended_at is null then r.owner end
            from unnest($2::uuid[], $3::uuid[], $4::integer[], $5::text[], $6::timestamptz[], $7::timestamptz[],
                $8::bigint[], $9::bytea[], $10::bytea[], $11::bytea[], $22::bytea[])
                as f (org_id, id, epoch, state, started_at, ended_at, seq, steps, output, error, attempts)
            where r.org_id = f.org_id and r.id = f.id
                and (r.owner = $1 and r.epoch = f.epoch and r.ended_at is null) is true
            returning r.org_id, r.id, r.paused_at is not null as paused
        ), locked as (
            select r.org_id, r.id, r.paused_at is not null as paused from unnest($14::uuid[], $15::uuid[], $16::integer[]) as q (org_id, id, epoch)
            join runtime.runs r on r.org_id = q.org_id and r.id = q.id
            where (r.owner = $1 and r.epoch = q.epoch and r.ended_at is null) is true
            for share of r
        ), own as (
            select org_id, id, paused from flushed union all select org_id, id, paused from locked
        ), told as (
            insert into runtime.transitions (org_id, run_id, last_seq, first_seq, body)
            select t.org_id, t.run_id, t.last_seq, t.first_seq, t.body
            from unnest($2::uuid[], $3::uuid[], $8::bigint[], $12::bigint[], $13::bytea[])
                as t (org_id, run_id, last_seq, first_seq, body)
            join flushed on flushed.org_id = t.org_id and flushed.id = t.run_id
            on conflict do nothing
        ), kept as (
            insert into runtime.journal (org_id, run_id, node, item, body)
            select j.org_id, j.run_id, j.node, j.item, j.body
            from unnest($17::uuid[], $18::uuid[], $19::text[], $20::text[], $21::bytea[])
                as j (org_id, run_id, node, item, body)
            join own on own.org_id = j.org_id and own.id = j.run_id
            on conflict do nothing
        )
        select id, paused from own
        """,
        owner,
        [org for org, _ in told],
        [f.run.id for _, f in told],
        [f.epoch for _, f in told],
        [f.run.state for _, f in told],
        [f.run.started_at for _, f in told],
        [f.run.ended_at for _, f in told],
        [f.transitions[-1].seq for _, f in told],
        [_encode(f.steps) for _, f in told],
        [f.output for _, f in told],
        [_error(f.run) for _, f in told],
        [f.transitions[0].seq for _, f in told],
        [_encode(f.transitions) for _, f in told],
        [org for org, _ in quiet],
        [f.run.id for _, f in quiet],
        [f.epoch for _, f in quiet],
        [org for org, _, _ in outcomes],
        [run_id for _, run_id, _ in outcomes],
        [o.node for _, _, o in outcomes],
        [o.item for _, _, o in outcomes],
        [o.body for _, _, o in outcomes],
        [f.attempts for _, f in told],
    )
    own = {row.id: row.paused for row in written}
    await waits.write(tx, [(org, f) for org, f in taken if f.run.id in own])
    for caller, flush in zip(callers, flushes, strict=True):
        for event in end_events(flush.run) if flush.transitions and flush.run.id in own else ():
            await tx.emit(event, trace=caller.trace)
    return [Written(flush.run.id in own, own.get(flush.run.id, False)) for flush in flushes]


def end_events(run: Run) -> tuple[Event, ...]:
    """What others are told of a run's end, and the run that started it; nothing while it is open."""
    event = _end_event(run)
    if event is None:
        return ()
    if run.parent_id is None:
        return (event,)
    return event, runtime.ChildEnded(org_id=run.org_id, run_id=run.id, parent_id=run.parent_id)


def _end_event(run: Run) -> Event | None:
    match run.state:
        case "succeeded":
            return runtime.RunSucceeded(org_id=run.org_id, run_id=run.id)
        case "failed" if run.error is not None:
            return runtime.RunFailed(org_id=run.org_id, run_id=run.id, error=run.error)
        case "cancelled":
            return runtime.RunCancelled(org_id=run.org_id, run_id=run.id, error=run.error)
        case _:
            return None


def _error(run: Run) -> bytes | None:
    return None if run.error is None else _encode(run.error)
