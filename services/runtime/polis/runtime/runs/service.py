"""Reading runs, and ending them."""

from __future__ import annotations

from uuid import UUID

import msgspec
from msgspec import Struct

from polis.proto import Page, Refused, runtime
from polis.proto.problems import StaleCursor
from polis.runtime.jobs import costs
from polis.runtime.own import Own
from polis.runtime.runs import lines, resolve, search, store
from polis.runtime.runs.search import Wanted
from polis.service import Context, Handlers

handlers = Handlers()


class Position(Struct, frozen=True):
    """Where a list of runs goes on, and which list it is."""

    wanted: Wanted
    before: UUID | None = None


class LinePosition(Struct, frozen=True):
    """Where a list of lines goes on, and of which run they are."""

    run_id: UUID
    number: int = 0


@handlers.handles(runtime.ListRuns)
async def list_runs(request: runtime.ListRuns, ctx: Context[Own]) -> Page[runtime.Run]:
    wanted = search.wanted(request)
    if request.agent is not None:
        agent = await resolve.agent_named(ctx, request.agent)
        if wanted.actor_id not in (None, agent.id):
            return Page(items=())
        wanted = msgspec.structs.replace(wanted, actor_id=agent.id)
    after = ctx.position(request.after, Position) or Position(wanted)
    if after.wanted != wanted:
        raise Refused(StaleCursor())
    found = await search.page(ctx.db, wanted, before=after.before, limit=request.limit + 1)
    return ctx.page(found, limit=request.limit, key=lambda run: Position(wanted, run.id))


@handlers.handles(runtime.GetRunTree)
async def get_run_tree(request: runtime.GetRunTree, ctx: Context[Own]) -> runtime.RunTree:
    return await search.tree(ctx.db, request.run_id, depth=request.depth, limit=request.limit)


@handlers.handles(runtime.GetRun)
async def get_run(request: runtime.GetRun, ctx: Context[Own]) -> runtime.Run:
    return await store.get(ctx.db, request.run_id)


@handlers.handles(runtime.CancelRun)
async def cancel_run(request: runtime.CancelRun, ctx: Context[Own]) -> runtime.Run:
    async with ctx.transaction() as tx:
        run, transitions = await store.cancel(tx, request.run_id, ctx.now())
        tx.after_commit(lambda: cancelled(ctx.own, run, transitions))
        return tx.answer(run)


@handlers.handles(runtime.GetTimeline)
async def get_timeline(request: runtime.GetTimeline, ctx: Context[Own]) -> runtime.Timeline:
    timeline = await store.timeline(ctx.db, request.run_id)
    untaken = await costs.untaken(ctx.db, request.run_id)
    return (
        msgspec.structs.replace(timeline, attempts=costs.told(timeline.attempts, untaken))
        if untaken
        else timeline
    )


@handlers.handles(runtime.ListRunLog)
async def list_run_log(request: runtime.ListRunLog, ctx: Context[Own]) -> Page[runtime.LogLine]:
    after = ctx.position(request.after, LinePosition) or LinePosition(request.run_id)
    if after.run_id != request.run_id:
        raise Refused(StaleCursor())
    await store.get(ctx.db, request.run_id)
    found = await lines.behind(ctx.db, request.run_id, after.number, limit=request.limit + 1)
    return ctx.page(found, limit=request.limit, key=lambda line: LinePosition(request.run_id, line.number))


@handlers.handles(runtime.GetOutput)
async def get_output(request: runtime.GetOutput, ctx: Context[Own]) -> runtime.Output:
    return await store.output(ctx.db, request.run_id)


@handlers.handles(runtime.WatchRun)
async def watch_run(request: runtime.WatchRun, ctx: Context[Own]) -> runtime.RunSnapshot:
    watched = await store.watch(ctx.db, request.run_id, after=request.after)
    if request.after is None:
        return runtime.RunSnapshot(run=watched.run, seq=watched.seq, steps=watched.steps)
    if request.after == watched.seq or watched.continues(request.after):
        return runtime.RunSnapshot(run=watched.run, seq=watched.seq, transitions=watched.transitions)
    return runtime.RunSnapshot(run=watched.run, seq=watched.seq, steps=watched.steps, recovered=False)


def cancelled(own: Own, run: runtime.Run, transitions: tuple[runtime.Transition, ...]) -> None:
    """Stop it here and elsewhere; who does not hear of it finds its commits refused, or learns of it with its next beat."""
    own.executor.cancelled(run, transitions)
