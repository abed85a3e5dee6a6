"""Reading runs, and ending them from outside. What their owner writes stands in the journal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.proto import Refused, runtime
from polis.proto.graph import Graph
from polis.proto.runtime import Run, RunError, Step, Transition
from polis.runtime.children import ends
from polis.runtime.engine.activation import Recorded
from polis.runtime.engine.item import Item, parse
from polis.runtime.runs import undo
from polis.runtime.runs.lines import LOG
from polis.runtime.shell.breaking import broken_off
from polis.runtime.shell.journal import end_events
from polis.runtime.shell.records import RunRow, decode_steps, decode_transitions
from polis.runtime.waits import kinds, rows
from polis.telemetry import log

if TYPE_CHECKING:
    from polis.db import Tenant, Transaction

CATCH_UP = 1000
"""Transitions that a watcher is given to catch up; one that missed more starts again from the steps."""

_PAGE = 500
"""Outcomes that are read and decoded at a time: about two milliseconds of the event loop."""

_encode = msgspec.json.Encoder().encode
_recorded = msgspec.json.Decoder(Recorded)
_attempts = msgspec.json.Decoder(tuple[runtime.AttemptsOfStep, ...])


class Watched(Struct, frozen=True):
    """A run as it is, with the transitions behind a watcher's cursor."""

    run: Run
    seq: int
    steps: tuple[Step, ...]
    transitions: tuple[Transition, ...]

    def continues(self, after: int) -> bool:
        """Whether the transitions lead from `after` to `seq` without a gap."""
        return after + len(self.transitions) == self.seq


class _FullRow(RunRow, frozen=True):
    seq: int
    steps: bytes


class _WatchedRow(_FullRow, frozen=True):
    missed: list[bytes]


class _TimelineRow(_FullRow, frozen=True):
    attempts: bytes | None


class _OutputRow(Struct, frozen=True):
    state: str
    output: bytes | None
    steps: bytes
    content: bytes


async def get(db: Tenant | Transaction, run_id: UUID) -> Run:
    """A run of the org. Refused(RunNotFound)."""
    run = await find(db, run_id)
    if run is None:
        raise Refused(runtime.RunNotFound(run_id=run_id))
    return run


async def find(db: Tenant | Transaction, run_id: UUID) -> Run | None:
    row = await db.row(
        RunRow,
        """
        select id, org_id, graph, digest, state, actor_id, started_by, created_at, started_at, ended_at, error,
            tags, parent_id, origin_id, origin_kind, origin_step, trigger_id, occurrence
        from runtime.runs where org_id = $1 and id = $2
        """,
        db.org_id,
        run_id,
    )
    return None if row is None else row.run


async def timeline(db: Tenant, run_id: UUID) -> runtime.Timeline:
    row = await db.row(
        _TimelineRow,
        """
        select id, org_id, graph, digest, state, actor_id, started_by, created_at, started_at, ended_at, error,
            tags, parent_id, origin_id, origin_kind, origin_step, trigger_id, occurrence, seq, steps, attempts
        from runtime.runs where org_id = $1 and id = $2
        """,
        db.org_id,
        run_id,
    )
    if row is None:
        raise Refused(runtime.RunNotFound(run_id=run_id))
    steps = decode_steps(row.steps)
    return runtime.Timeline(row.run, steps, _attempts_of(row, steps))


def _attempts_of(row: _TimelineRow, steps: Sequence[Step]) -> tuple[runtime.AttemptsOfStep, ...]:
    """What was kept of them; of what cannot be read any more, how many there were."""
    if row.attempts is None:
        return ()
    try:
        return _attempts.decode(row.attempts)
    except msgspec.MsgspecError:
        log.warning("attempts.unreadable", run_id=str(row.id))
    return tuple(runtime.AttemptsOfStep(step.node, step.attempts, ()) for step in steps if step.attempts)


async def output(db: Tenant, run_id: UUID) -> runtime.Output:
    row = await db.row(
        _OutputRow,
        """
        select r.state, r.output, r.steps, case when position('"model":["'::bytea in r.steps) > 0
            then p.content else '' end as content
        from runtime.runs r join runtime.programs p on p.org_id = r.org_id and p.digest = r.program
        where r.org_id = $1 and r.id = $2
        """,
        db.org_id,
        run_id,
    )
    if row is None:
        raise Refused(runtime.RunNotFound(run_id=run_id))
    if row.output is None:
        raise Refused(runtime.NoOutputYet(state=row.state))
    values = msgspec.json.decode(row.output, type=dict[str, object])
    return runtime.Output(run_id=run_id, values=values, model=_model(row))


def _model(row: _OutputRow) -> dict[str, tuple[str, ...]]:
    """What each output is made of, by the step that gave it."""
    if not row.content:
        return {}
    made = {step.node: step.model for step in decode_steps(row.steps) if step.model}
    outputs = msgspec.json.decode(row.content, type=_Bundle).graph.outputs
    sources = {name: output.source.partition(".")[0] for name, output in outputs.items()}
    return {name: made[source] for name, source in sources.items() if source in made}


class _Bundle(Struct, frozen=True):
    graph: Graph


async def watch(db: Tenant, run_id: UUID, *, after: int | None) -> Watched:
    """A run, its steps and, behind `after`, what it went through: all of one moment."""
    row = await db.row(
        _WatchedRow,
        """
        select r.id, r.org_id, r.graph, r.digest, r.state, r.actor_id, r.started_by, r.created_at, r.started_at,
            r.ended_at, r.error, r.tags, r.parent_id, r.origin_id, r.origin_kind, r.origin_step, r.trigger_id,
            r.occurrence, r.seq, r.steps, array(
                select t.body from runtime.transitions t
                where t.org_id = $1 and t.run_id = $2 and t.last_seq > $3 and r.seq - $3 <= $4
                order by t.last_seq
            ) as missed
        from runtime.runs r where r.org_id = $1 and r.id = $2
        """,
        db.org_id,
        run_id,
        after,
        CATCH_UP,
    )
    if row is None:
        raise Refused(runtime.RunNotFound(run_id=run_id))
    missed = [t for body in row.missed for t in decode_transitions(body) if after is None or t.seq > after]
    return Watched(row.run, row.seq, decode_steps(row.steps), tuple(missed))


async def program(tx: Transaction, digest: str) -> bytes:
    """What a run executes. It was stored together with the run."""
    found = await tx.row(
        bytes, "select content from runtime.programs where org_id = $1 and digest = $2", tx.org_id, digest
    )
    if found is None:
        raise LookupError(f"no program {digest}")
    return found


class _JournalRow(Struct, frozen=True):
    node: str
    item: str
    body: bytes


async def outcomes(tx: Transaction, run_id: UUID) -> dict[tuple[str, Item], Recorded]:
    """The outcomes that a run's journal holds. One that is brought meanwhile may be missing: the run is woken once more."""
    found: dict[tuple[str, Item], Recorded] = {}
    last = ("", "")
    while True:
        rows = await tx.rows(
            _JournalRow,
            """
            select node, item, body from runtime.journal
            where org_id = $1 and run_id = $2 and (node, item) > ($3, $4) and node <> $6
            order by node, item limit $5
            """,
            tx.org_id,
            run_id,
            *last,
            _PAGE,
            LOG,
        )
        found.update(((row.node, parse(row.item)), _recorded.decode(row.body)) for row in rows)
        if len(rows) < _PAGE:
            return found
        last = (rows[-1].node, rows[-1].item)


class Counts(Struct, frozen=True):
    """How many outcomes were brought to a run from outside, and the last line of its log."""

    completions: int
    last_line: str | None


async def counts(tx: Transaction, run_id: UUID) -> Counts:
    found = await tx.row(
        Counts,
        """
        select r.completions, (
            select j.item from runtime.journal j
            where j.org_id = $1 and j.run_id = $2 and j.node = $3 order by j.item desc limit 1
        ) as last_line
        from runtime.runs r where r.org_id = $1 and r.id = $2
        """,
        tx.org_id,
        run_id,
        LOG,
    )
    if found is None:
        raise LookupError(f"no run {run_id}")
    return found


async def cancel(
    tx: Transaction, run_id: UUID, at: datetime, why: RunError | None = None
) -> tuple[Run, tuple[Transition, ...]]:
    """End a run for good: from this commit on no outcome of it is accepted. Refused(RunNotFound | RunEnded).

    One that has done what can be undone goes on to that: nobody has it from this commit on, and it ends when that is done.
    why: told of a run that nobody asked to end.
    """
    row = await tx.row(
        _FullRow,
        """
        select id, org_id, graph, digest, state, actor_id, started_by, created_at, started_at, ended_at, error,
            tags, parent_id, origin_id, origin_kind, origin_step, trigger_id, occurrence, seq, steps
        from runtime.runs where org_id = $1 and id = $2 for update
        """,
        tx.org_id,
        run_id,
    )
    if row is None:
        raise Refused(runtime.RunNotFound(run_id=run_id))
    if row.ended_at is not None:
        raise Refused(runtime.RunEnded(state=row.state))
    at_ms = max(0, int((at - row.created_at).total_seconds() * 1000))
    if (undoing := await undo.begin(tx, row.run, at_ms, why)) is not None:
        return undoing, ()
    run = msgspec.structs.replace(row.run, state="cancelled", ended_at=at, error=why)
    steps, transitions = broken_off(decode_steps(row.steps), row.seq, at_ms, "cancelled", why)
    await tx.execute(
        """
        with ended as (
            update runtime.runs set state = 'cancelled', ended_at = $3, seq = $4, steps = $5, error = $8, owner = null
            where org_id = $1 and id = $2
        )
        insert into runtime.transitions (org_id, run_id, last_seq, first_seq, body) values ($1, $2, $4, $6, $7)
        """,
        tx.org_id,
        run_id,
        at,
        transitions[-1].seq,
        _encode(steps),
        transitions[0].seq,
        _encode(transitions),
        None if why is None else _encode(why),
    )
    await kinds.closed(tx, await rows.close_all(tx, [(tx.org_id, run_id)]), "ended")
    await ends.abandon(tx, [(tx.org_id, run_id)])
    for event in end_events(run):
        await tx.emit(event)
    return run, transitions


async def open_runs_of(tx: Transaction, actor_id: UUID) -> Sequence[UUID]:
    """The runs that act as somebody and have not ended."""
    return await tx.rows(
        UUID,
        """
        select id from runtime.runs
        where org_id = $1 and actor_id = $2 and state not in ('succeeded', 'failed', 'cancelled') order by id
        """,
        tx.org_id,
        actor_id,
    )
