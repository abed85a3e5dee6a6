"""Pausing runs and letting them go on. Who executes one hears of it and begins no further step; any other just rests."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.proto import Refused, runtime
from polis.proto.runtime import Run, RunState, Transition
from polis.runtime.own import Own
from polis.runtime.shell.records import RunRow
from polis.service import Context, Handlers

if TYPE_CHECKING:
    from datetime import datetime

    from polis.db import Transaction

handlers = Handlers()
_encode = msgspec.json.Encoder().encode


class _Row(RunRow, frozen=True):
    seq: int
    owner: UUID | None
    paused: bool


class Steered(Struct, frozen=True):
    """A run as it is now, and what is to be told of it: nothing when a process has it, which tells for itself."""

    run: Run
    transitions: tuple[Transition, ...] = ()


@handlers.handles(runtime.PauseRun)
async def pause_run(request: runtime.PauseRun, ctx: Context[Own]) -> runtime.Run:
    async with ctx.transaction() as tx:
        row = await _locked(tx, request.run_id)
        if row.paused:
            return tx.answer(row.run)
        await tx.execute(
            """
            update runtime.runs set state = 'paused', paused_at = clock_timestamp(), wake_at = 'infinity'
            where org_id = $1 and id = $2
            """,
            tx.org_id,
            row.id,
        )
        steered = await _told(tx, row, "paused", ctx.now())
        await tx.emit(runtime.RunPaused(tx.org_id, row.id, row.run.graph, row.run.actor_id))
        tx.after_commit(lambda: _tell(ctx.own, steered))
        return tx.answer(steered.run)


@handlers.handles(runtime.ResumeRun)
async def resume_run(request: runtime.ResumeRun, ctx: Context[Own]) -> runtime.Run:
    async with ctx.transaction() as tx:
        row = await _locked(tx, request.run_id)
        if not row.paused:
            return tx.answer(row.run)
        state: RunState = "waiting" if row.owner is None else "running"
        if row.started_at is None:
            state = "queued"
        await tx.execute(
            """
            update runtime.runs set state = $3, paused_at = null, wake_at = clock_timestamp(),
                paused_s = paused_s + extract(epoch from clock_timestamp() - paused_at)
            where org_id = $1 and id = $2
            """,
            tx.org_id,
            row.id,
            state,
        )
        steered = await _told(tx, row, state, ctx.now())
        await tx.emit(runtime.RunResumed(tx.org_id, row.id, row.run.graph, row.run.actor_id))
        tx.after_commit(lambda: _tell(ctx.own, steered))
        return tx.answer(steered.run)


async def _locked(tx: Transaction, run_id: UUID) -> _Row:
    row = await tx.row(
        _Row,
        """
        select id, org_id, graph, digest, state, actor_id, started_by, created_at, started_at, ended_at, error,
            tags, parent_id, origin_id, origin_kind, origin_step, trigger_id, occurrence, seq, owner,
            paused_at is not null as paused
        from runtime.runs where org_id = $1 and id = $2 for update
        """,
        tx.org_id,
        run_id,
    )
    if row is None:
        raise Refused(runtime.RunNotFound(run_id=run_id))
    if row.ended_at is not None:
        raise Refused(runtime.RunEnded(state=row.state))
    return row


async def _told(tx: Transaction, row: _Row, state: RunState, at: datetime) -> Steered:
    """Write the transition of a run that no process has; one that has it numbers its transitions itself."""
    run = msgspec.structs.replace(row.run, state=state)
    if row.owner is not None:
        return Steered(run)
    at_ms = max(0, int((at - run.created_at).total_seconds() * 1000))
    transitions = (Transition(row.seq + 1, at_ms, state),)
    await tx.execute(
        """
        with counted as (update runtime.runs set seq = $3 where org_id = $1 and id = $2)
        insert into runtime.transitions (org_id, run_id, last_seq, first_seq, body) values ($1, $2, $3, $3, $4)
        """,
        tx.org_id,
        row.id,
        transitions[0].seq,
        _encode(transitions),
    )
    return Steered(run, transitions)


def _tell(own: Own, steered: Steered) -> None:
    own.executor.publish(steered.run, steered.transitions)
    if (live := own.executor.find(steered.run.id)) is not None:
        live.pause(paused=steered.run.state == "paused")
    own.executor.peers.tell([steered.run.id])
