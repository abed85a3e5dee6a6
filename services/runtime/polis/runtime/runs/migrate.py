"""Bringing an open run to another version of its graph: it loses its owner, and whoever claims it replays its journal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from polis.graph import GraphFaults, differences, obstacles
from polis.proto import Refused, runtime
from polis.proto.problems import Fault
from polis.runtime.engine.undoing import END
from polis.runtime.own import Own
from polis.runtime.runs import resolve
from polis.runtime.runs.takeover import DEFERRED
from polis.runtime.shell.records import RunRow, decode_steps
from polis.service import Context, Handlers

if TYPE_CHECKING:
    from polis.db import Transaction
    from polis.proto.runtime import Run, Step, Transition
    from polis.runtime.runs.resolve import Active

handlers = Handlers()

_MOST_CHANGES = 200

_encode = msgspec.json.Encoder().encode


class _OpenRow(RunRow, frozen=True):
    program: str
    input: bytes
    steps: bytes
    seq: int
    content: bytes
    done: list[str]

    @property
    def inputs(self) -> Mapping[str, object]:
        return msgspec.json.decode(self.input, type=dict[str, object])


@handlers.handles(runtime.MigrateRun)
async def migrate_run(request: runtime.MigrateRun, ctx: Context[Own]) -> runtime.Migration:
    run = await _get(ctx, request.run_id)
    await resolve.demand_actor(ctx, run)
    active = await ctx.own.graphs.active(ctx, run.graph, request.environment)
    resolve.check_scopes(ctx.actor, active.bound.program.scopes)
    async with ctx.transaction() as tx:
        row = await _lock(tx, request.run_id)
        said = await _compare(ctx, row, active)
        if request.dry_run or row.program == active.bound.digest:
            return tx.answer(said)
        if said.obstacles:
            raise Refused(runtime.RunIncompatible(faults=said.obstacles))
        moved = msgspec.structs.replace(row.run, digest=active.digest)
        transitions = await _move(tx, row, active, ctx)
        await tx.emit(runtime.RunMigrated(org_id=tx.org_id, run_id=moved.id, digest=active.digest))
        tx.after_commit(lambda: _tell(ctx.own, moved, transitions))
        return tx.answer(msgspec.structs.replace(said, run=moved, migrated=True))


async def _get(ctx: Context[Own], run_id: UUID) -> Run:
    row = await ctx.db.row(
        RunRow,
        """
        select id, org_id, graph, digest, state, actor_id, started_by, created_at, started_at, ended_at, error,
            tags, parent_id, origin_id, origin_kind, origin_step, trigger_id, occurrence
        from runtime.runs where org_id = $1 and id = $2
        """,
        ctx.db.org_id,
        run_id,
    )
    if row is None:
        raise Refused(runtime.RunNotFound(run_id=run_id))
    return row.run


async def _lock(tx: Transaction, run_id: UUID) -> _OpenRow:
    """The run, with the nodes that it has outcomes of or waits at; none comes to it until this has committed."""
    await tx.execute("select from runtime.runs where org_id = $1 and id = $2 for update", tx.org_id, run_id)
    row = await tx.row(
        _OpenRow,
        f"""
        select r.id, r.org_id, r.graph, r.digest, r.state, r.actor_id, r.started_by, r.created_at, r.started_at,
            r.ended_at, r.error, r.tags, r.parent_id, r.origin_id, r.origin_kind, r.origin_step, r.trigger_id, r.occurrence,
            r.program, r.input, r.steps, r.seq, p.content, array(
                select j.node from runtime.journal j where j.org_id = $1 and j.run_id = $2 and not {DEFERRED}
                union
                select w.node from runtime.waits w where w.org_id = $1 and w.run_id = $2 and w.closed_at is null
            ) as done
        from runtime.runs r join runtime.programs p on p.org_id = r.org_id and p.digest = r.program
        where r.org_id = $1 and r.id = $2
        """,  # noqa: S608 - a constant
        tx.org_id,
        run_id,
    )
    if row is None:
        raise Refused(runtime.RunNotFound(run_id=run_id))
    if row.ended_at is not None:
        raise Refused(runtime.RunEnded(state=row.state))
    return row


async def _compare(ctx: Context[Own], row: _OpenRow, active: Active) -> runtime.Migration:
    try:
        old = await ctx.own.executor.programs.stored(row.program, row.content)
    except GraphFaults as error:
        raise Refused(runtime.GraphInvalid(faults=error.faults)) from None
    new = active.bound.program
    changes = differences(*(msgspec.json.decode(_encode(one.graph)) for one in (old, new)))
    return runtime.Migration(
        run=row.run,
        digest=active.digest,
        migrated=False,
        changes=tuple(runtime.GraphChange(c.op, c.path) for c in islice(changes, _MOST_CHANGES)),
        obstacles=(
            *resolve.input_faults(new.graph, row.inputs),
            *obstacles(old.plan, new.plan, row.done),
            *(() if END[0] not in row.done else (Fault("", "what the run did is being undone"),)),
        ),
    )


async def _move(tx: Transaction, row: _OpenRow, active: Active, ctx: Context[Own]) -> tuple[Transition, ...]:
    """Have it executed by the other program: now, unless it rests. Steps that are new are told."""
    moved = msgspec.structs.replace(row.run, digest=active.digest)
    fresh = ctx.own.executor.queue(moved, active.bound, row.inputs).admission.steps
    steps = _carried(decode_steps(row.steps), fresh)
    transitions = _told(row, steps, ctx.now())
    await tx.execute(
        """
        insert into runtime.programs (org_id, digest, content) values ($1, $2, $3)
        on conflict (org_id, digest) do update set used_at = now()
        """,
        tx.org_id,
        active.bound.digest,
        active.bound.content,
    )
    await tx.execute(
        """
        with moved as (
            update runtime.runs set program = $3, digest = $4, steps = $5, seq = $6, epoch = epoch + 1, owner = null,
                wake_at = case when owner is null then wake_at else clock_timestamp() end
            where org_id = $1 and id = $2
        )
        insert into runtime.transitions (org_id, run_id, last_seq, first_seq, body) values ($1, $2, $6, $7, $8)
        """,
        tx.org_id,
        row.id,
        active.bound.digest,
        active.digest,
        _encode(steps),
        transitions[-1].seq,
        transitions[0].seq,
        _encode(transitions),
    )
    return transitions


def _carried(before: tuple[Step, ...], fresh: tuple[Step, ...]) -> tuple[Step, ...]:
    """The steps of the new program, with what is known of those that it has in common with the old one."""
    known = {(step.node, step.component): step for step in before}
    return tuple(
        msgspec.structs.replace(found, title=step.title, activity=step.activity)
        if (found := known.get((step.node, step.component))) is not None
        else step
        for step in fresh
    )


def _told(row: _OpenRow, steps: tuple[Step, ...], now: datetime) -> tuple[Transition, ...]:
    at_ms = max(0, int((now - row.created_at).total_seconds() * 1000))
    before = set(decode_steps(row.steps))
    new = [step for step in steps if step not in before]
    numbered = [
        runtime.Transition(row.seq + n, at_ms, step.state, step) for n, step in enumerate(new, start=1)
    ]
    return (*numbered, runtime.Transition(row.seq + len(new) + 1, at_ms, row.state))


def _tell(own: Own, run: Run, transitions: tuple[Transition, ...]) -> None:
    """Whoever executes it leaves it; whoever has room takes it up."""
    own.executor.publish(run, transitions)
    own.executor.drop(run.id)
    own.executor.peers.tell([run.id])
