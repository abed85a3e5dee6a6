"""The commits of all runs of this process, grouped: admissions, and what happened since, each fenced in its statement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from polis.db import Caller, Deadline, GroupCommit, new_id
from polis.db.emit import columns
from polis.db.errors import ConstraintViolation
from polis.db.group import FLUSH_S
from polis.proto import Refused, runtime
from polis.runtime import metrics
from polis.runtime.shell.records import Admission, Flush, Written
from polis.runtime.waits import written as waits

if TYPE_CHECKING:
    from polis.db import Database, Transaction
    from polis.db.emit import Emitted
    from polis.proto import Event
    from polis.proto.runtime import Run

_encode = msgspec.json.Encoder().encode
_ACTOR_STANDS = "runs_actor_stands"
"""What refuses a run whose agent was stopped while it was being started."""

_ADMIT = f"select runtime.write_admissions({', '.join(f'${n}' for n in range(1, 32))}) as written"
_FLUSH = f"select runtime.write_progress({', '.join(f'${n}' for n in range(1, 27))}) as written"


class Journal:
    """Where this process writes its runs. `owner` is the incarnation under which it holds them.

    Most of what is written is one call of a function for many runs, which is a transaction by itself (ADR 51). What needs
    more beside it, as what opens waits does, has a transaction with several statements.
    """

    def __init__(self, database: Database, owner: UUID) -> None:
        self.owner = owner
        self._database = database
        self._admissions: GroupCommit[Admission, bool] = GroupCommit(
            database, _admit_each, at_once=self._admit_at_once
        )
        self._flushes: GroupCommit[Flush, Written] = GroupCommit(
            database, self._flush, at_once=self._flush_at_once
        )

    async def admit(self, admission: Admission, *, deadline: Deadline | None = None) -> None:
        """Accept a run: when this returns, it is durable, with its events."""
        await self._admissions.put(admission.org_id, admission, deadline=deadline)

    async def flush(self, flush: Flush) -> Written:
        """Write what happened, unless the run is not this process's any more, or has ended: then nothing is written.

        Repeating a flush whose answer was lost is harmless.
        """
        return await self._flushes.put(flush.org_id, flush)

    async def _admit_at_once(
        self, callers: Sequence[Caller], admissions: Sequence[Admission]
    ) -> list[bool | None]:
        """Those whose programs are stored, and of which nothing else is kept; of the others None."""
        chosen = [
            n
            for n, a in enumerate(admissions)
            if a.content is None and not a.run.tags and a.timeout_s is None
        ]
        answers: list[bool | None] = [None] * len(admissions)
        if not chosen:
            return answers
        metrics.admitted_together.observe(len(chosen))
        callers, admissions = [callers[n] for n in chosen], [admissions[n] for n in chosen]
        events: list[Emitted] = [
            (new_id(), event, caller.trace)
            for caller, admission in zip(callers, admissions, strict=True)
            for event in _events(admission.run)
        ]
        await self._database.write_at_once(
            _orgs(callers),
            _ADMIT,
            *_admitted(callers, admissions),
            *columns(events),
            deadline=Deadline.after(FLUSH_S),
        )
        self._database.emitted(events)
        for n in chosen:
            answers[n] = True
        return answers

    async def _flush_at_once(
        self, callers: Sequence[Caller], flushes: Sequence[Flush]
    ) -> list[Written | None]:
        """Those that open, close and rest on no waits; of the others None."""
        chosen = [n for n, flush in enumerate(flushes) if not waits.touched(flush)]
        answers: list[Written | None] = [None] * len(flushes)
        if not chosen:
            return answers
        metrics.flushed_together.observe(len(chosen))
        callers, flushes = [callers[n] for n in chosen], [flushes[n] for n in chosen]
        told: list[tuple[int, Emitted]] = [
            (n, (new_id(), event, caller.trace))
            for n, (caller, flush) in enumerate(zip(callers, flushes, strict=True), start=1)
            if flush.transitions
            for event in end_events(flush.run)
        ]
        found: list[int] = await self._database.write_at_once(
            _orgs(callers),
            _FLUSH,
            self.owner,
            *_flushed(callers, flushes),
            [n for n, _ in told],
            *columns([emitted for _, emitted in told]),
            deadline=Deadline.after(FLUSH_S),
        )
        if events := [emitted for n, emitted in told if found[n - 1]]:
            self._database.emitted(events)
        for n, code in zip(chosen, found, strict=True):
            answers[n] = _WRITTEN[code]
        return answers

    async def _flush(
        self, tx: Transaction, callers: Sequence[Caller], flushes: Sequence[Flush]
    ) -> Sequence[Written]:
        metrics.flushed_together.observe(len(flushes))
        found: list[int] = await tx.value(_FLUSH, self.owner, *_flushed(callers, flushes), [], *columns(()))
        written = [
            (caller, flush) for caller, flush, code in zip(callers, flushes, found, strict=True) if code
        ]
        await waits.write(tx, [(caller.org_id, flush) for caller, flush in written])
        for caller, flush in written:
            for event in end_events(flush.run) if flush.transitions else ():
                await tx.emit(event, trace=caller.trace)
        return [_WRITTEN[code] for code in found]


_WRITTEN = (Written(own=False, paused=False), Written(own=True, paused=False), Written(own=True, paused=True))
"""By what `write_progress` says of a run."""


async def _admit_each(
    tx: Transaction, callers: Sequence[Caller], admissions: Sequence[Admission]
) -> Sequence[bool]:
    metrics.admitted_together.observe(len(admissions))
    await admit(tx, callers, admissions)
    return [True] * len(admissions)


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
    await tx.value(_ADMIT, *_admitted(callers, admissions), *columns(()))
    await _keep_tags(tx, orgs, [admission.run for admission in admissions])
    await _keep_timeouts(tx, orgs, admissions)
    for caller, admission in zip(callers, admissions, strict=True):
        for event in _events(admission.run):
            await tx.emit(event, trace=caller.trace)


def _orgs(callers: Sequence[Caller]) -> list[UUID]:
    return list({caller.org_id: None for caller in callers})


def _admitted(callers: Sequence[Caller], admissions: Sequence[Admission]) -> tuple[list[object], ...]:
    """Runs as `write_admissions` takes them."""
    runs = [a.run for a in admissions]
    return (
        [caller.org_id for caller in callers],
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


def _flushed(callers: Sequence[Caller], flushes: Sequence[Flush]) -> tuple[list[object], ...]:
    """What happened in runs as `write_progress` takes it, and the outcomes of effects among it."""
    told = [flush if flush.transitions else None for flush in flushes]
    outcomes = [(n, outcome) for n, flush in enumerate(flushes, start=1) for outcome in flush.outcomes]
    return (
        [caller.org_id for caller in callers],
        [f.run.id for f in flushes],
        [f.epoch for f in flushes],
        [f and f.run.state for f in told],
        [f and f.run.started_at for f in told],
        [f and f.run.ended_at for f in told],
        [f and f.transitions[-1].seq for f in told],
        [f and _encode(f.steps) for f in told],
        [f and f.output for f in told],
        [f and _error(f.run) for f in told],
        [f and f.attempts for f in told],
        [f and f.transitions[0].seq for f in told],
        [f and _encode(f.transitions) for f in told],
        [n for n, _ in outcomes],
        [outcome.node for _, outcome in outcomes],
        [outcome.item for _, outcome in outcomes],
        [outcome.body for _, outcome in outcomes],
    )


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


async def _keep_timeouts(tx: Transaction, orgs: Sequence[UUID], admissions: Sequence[Admission]) -> None:
    rows = [(org, a) for org, a in zip(orgs, admissions, strict=True) if a.timeout_s is not None]
    if rows:
        await tx.execute(
            """
            update runtime.runs r set timeout_s = t.timeout_s
            from unnest($1::uuid[], $2::uuid[], $3::float8[]) as t (org_id, id, timeout_s)
            where r.org_id = t.org_id and r.id = t.id
            """,
            [org for org, _ in rows],
            [admission.run.id for _, admission in rows],
            [admission.timeout_s for _, admission in rows],
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


def _events(run: Run) -> tuple[Event, ...]:
    """What others are told of a run with its first record."""
    started = runtime.RunStarted(org_id=run.org_id, run_id=run.id, graph=run.graph, actor_id=run.actor_id)
    return started, *end_events(run)


def end_events(run: Run) -> tuple[Event, ...]:
    """What others are told of a run's end, and the run that started it; nothing while it is open."""
    event = _end_event(run)
    if event is None:
        return ()
    if run.parent_id is None:
        return (event,)
    return event, runtime.ChildEnded(org_id=run.org_id, run_id=run.id, parent_id=run.parent_id)


def _end_event(run: Run) -> Event | None:
    org_id, run_id, graph, actor_id = run.org_id, run.id, run.graph, run.actor_id
    match run.state:
        case "succeeded":
            return runtime.RunSucceeded(org_id, run_id, graph, actor_id)
        case "failed" if run.error is not None:
            return runtime.RunFailed(org_id, run_id, run.error, graph, actor_id)
        case "cancelled":
            return runtime.RunCancelled(org_id, run_id, run.error, graph, actor_id)
        case _:
            return None


def _error(run: Run) -> bytes | None:
    return None if run.error is None else _encode(run.error)
