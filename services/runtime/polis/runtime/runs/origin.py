"""Runs made from others: from a step on, once more where it failed, or with other input.

Such a run is queued with the outcomes that it takes over in its journal: whoever claims it replays them, as after a crash.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.db import Caller
from polis.graph import GraphFaults
from polis.proto import Refused, runtime
from polis.runtime.own import Own
from polis.runtime.runs import resolve
from polis.runtime.runs.takeover import MOST_ITEMS, Takeover, of_failed, of_step
from polis.runtime.shell import journal
from polis.runtime.shell.records import RunRow, ended
from polis.service import Context, Handlers

if TYPE_CHECKING:
    from polis.db import Tenant, Transaction
    from polis.proto.runtime import Origin, Run
    from polis.runtime.shell.executor import Started
    from polis.runtime.shell.programs import Bound
    from polis.service.quotas import Held

handlers = Handlers()


class _OriginRow(RunRow, frozen=True):
    program: str
    input: bytes
    content: bytes


class _Wanted(Struct, frozen=True):
    """A run that is to be made: where from, with what input, and what it takes over."""

    bound: Bound
    source: Run
    origin: Origin
    inputs: Mapping[str, object]
    takes: Takeover | None = None


@handlers.handles(runtime.RerunRun)
async def rerun_run(request: runtime.RerunRun, ctx: Context[Own]) -> Run:
    async def wanted() -> _Wanted:
        source, bound, inputs = await _read(ctx, request.run_id)
        if not ended(source.state):
            raise Refused(runtime.RunOpen(state=source.state))
        if request.step not in bound.program.graph.nodes:
            raise Refused(runtime.StepUnknown(step=request.step))
        origin = runtime.Origin(source.id, "rerun", request.step)
        takes = of_step(bound.program, request.step, await _places(ctx.db, source.id, _UNDONE))
        return _Wanted(bound, source, origin, inputs, takes)

    return await _make(ctx, wanted)


@handlers.handles(runtime.RetryRun)
async def retry_run(request: runtime.RetryRun, ctx: Context[Own]) -> Run:
    async def wanted() -> _Wanted:
        source, bound, inputs = await _read(ctx, request.run_id)
        if not ended(source.state):
            raise Refused(runtime.RunOpen(state=source.state))
        if source.state == "succeeded":
            raise Refused(runtime.NothingFailed(state=source.state))
        failed = await _places(ctx.db, source.id, _FAILED)
        takes = of_failed(bound.program, failed, await _places(ctx.db, source.id, _UNDONE))
        return _Wanted(bound, source, runtime.Origin(source.id, "retry"), inputs, takes)

    return await _make(ctx, wanted)


@handlers.handles(runtime.ForkRun)
async def fork_run(request: runtime.ForkRun, ctx: Context[Own]) -> Run:
    async def wanted() -> _Wanted:
        source, bound, inputs = await _read(ctx, request.run_id)
        changed = {**inputs, **request.input}
        resolve.check_input(bound.program.graph, changed)
        return _Wanted(bound, source, runtime.Origin(source.id, "fork"), changed)

    return await _make(ctx, wanted)


async def _read(ctx: Context[Own], run_id: UUID) -> tuple[Run, Bound, dict[str, object]]:
    """A run, what it executes and what it started with. Refused for whom its data and its actor are not."""
    row = await ctx.db.row(
        _OriginRow,
        """
        select r.id, r.org_id, r.graph, r.digest, r.state, r.actor_id, r.started_by, r.created_at, r.started_at,
            r.ended_at, r.error, r.tags, r.parent_id, r.origin_id, r.origin_kind, r.origin_step, r.trigger_id,
            r.occurrence, r.program, r.input,
            p.content
        from runtime.runs r join runtime.programs p on p.org_id = r.org_id and p.digest = r.program
        where r.org_id = $1 and r.id = $2
        """,
        ctx.db.org_id,
        run_id,
    )
    if row is None:
        raise Refused(runtime.RunNotFound(run_id=run_id))
    try:
        bound = await ctx.own.executor.programs.restored(row.program, row.content)
    except GraphFaults as error:
        raise Refused(runtime.GraphInvalid(faults=error.faults)) from None
    await resolve.demand_actor(ctx, row.run)
    resolve.check_scopes(ctx.actor, bound.program.scopes)
    return row.run, bound, msgspec.json.decode(row.input, type=dict[str, object])


async def _make(ctx: Context[Own], wanted: Callable[[], Awaitable[_Wanted]]) -> Run:
    """Accept it, with what it takes over. A repeat of an idempotency key gets its answer, whatever `wanted` says by then."""
    executor = ctx.own.executor
    async with AsyncExitStack() as stack:
        prepared = await _prepared(ctx, wanted, stack)
        async with ctx.transaction() as tx:
            if isinstance(prepared, Refused):
                raise prepared
            want, started, held = prepared
            await _lock(tx, want.source.id)
            await journal.admit(tx, [Caller.here(ctx.actor.org_id)], [started.admission])
            if want.takes is not None:
                await want.takes.copy(tx, source=want.source.id, target=started.run.id)
            tx.answer(started.run)
    held.settle(1)
    executor.admitted(started)
    return started.run


async def _prepared(
    ctx: Context[Own], wanted: Callable[[], Awaitable[_Wanted]], stack: AsyncExitStack
) -> tuple[_Wanted, Started, Held] | Refused:
    try:
        want = await wanted()
        run = runtime.Run(
            id=ctx.new_id(),
            org_id=ctx.actor.org_id,
            graph=want.source.graph,
            digest=want.source.digest,
            state="queued",
            actor_id=want.source.actor_id,
            started_by=ctx.actor.principal_id,
            created_at=ctx.now(),
            tags=want.source.tags,
            origin=want.origin,
        )
        held = await stack.enter_async_context(
            ctx.own.quotas.set_aside(
                1, actor=ctx.actor, reservation_id=run.id, deadline=ctx.deadline, principal_id=run.actor_id
            )
        )
        held.demand()
        return want, ctx.own.executor.queue(run, want.bound, want.inputs), held
    except Refused as refusal:
        return refusal


async def _lock(tx: Transaction, run_id: UUID) -> None:
    """Keep the run, and with it its journal and its program, until this has committed. Refused(RunNotFound)."""
    found = await tx.value(
        "select 1 from runtime.runs where org_id = $1 and id = $2 for key share", tx.org_id, run_id
    )
    if found is None:
        raise Refused(runtime.RunNotFound(run_id=run_id))


async def _places(db: Tenant, run_id: UUID, sql: str) -> list[tuple[str, str]]:
    """Node and item of certain outcomes in a journal; where they are too many to tell apart, the nodes."""
    rows = await db.rows(_PlaceRow, sql + " order by node, item limit $3", db.org_id, run_id, MOST_ITEMS + 1)
    if len(rows) > MOST_ITEMS:
        nodes = f"select distinct p.node, '' as item from ({sql}) p order by node limit $3"  # noqa: S608 - constants
        rows = await db.rows(_PlaceRow, nodes, db.org_id, run_id, MOST_ITEMS)
    return [(row.node, row.item) for row in rows]


# The record of a failure begins with it.
_FAILED = """
    select node, item from runtime.journal
    where org_id = $1 and run_id = $2 and substring(body for 11) = '{"failure":'::bytea
        and node not like '@%' and position('/@undo' in node) = 0
"""
# What was undone, by what has undone it; of what a whole graph has undone, all items of the step.
_UNDONE = """
    select distinct split_part(node, '/@undo', 1) as node, case when node like '%/@undo' then item else '' end as item
    from runtime.journal
    where org_id = $1 and run_id = $2 and position('/@undo' in node) > 0 and node not like '%/@missed'
        and substring(body for 11) <> '{"failure":'::bytea
"""


class _PlaceRow(Struct, frozen=True):
    node: str
    item: str
