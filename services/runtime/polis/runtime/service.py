"""The runtime answers for runs: durable executions of one graph version. It owns schema `runtime`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.db import Caller
from polis.proto import Page, Refused, identity, runtime
from polis.proto.problems import StaleCursor
from polis.runtime import journal, resolve, store
from polis.runtime.config import Config
from polis.runtime.executor import Executor, Started
from polis.runtime.watch import Watch
from polis.service import Context, EventContext, Service
from polis.service.quotas import Held, Quotas
from polis.service.tasks import Tasks

if TYPE_CHECKING:
    from polis.runtime.programs import Bound
    from polis.service import Kernel


class Own:
    """What the runtime holds while it runs."""

    def __init__(self, executor: Executor, quotas: Quotas) -> None:
        self.executor = executor
        self.quotas = quotas
        self.components = resolve.Components()


@asynccontextmanager
async def open_own(config: Config, kernel: Kernel) -> AsyncIterator[Own]:
    async with Tasks() as tasks:
        executor = Executor(config, kernel, tasks)
        watch = Watch(config, kernel.database, executor)
        await watch.begin()
        watching = tasks.start(watch.keep(), name="watch")
        try:
            yield Own(executor, Quotas(kernel, "runs"))
        finally:
            watching.cancel()
            await watch.end()


service = Service("runtime", settings=Config, open=open_own)


class Position(Struct, frozen=True):
    """Where a list of runs goes on, and which list it is."""

    state: str | None
    graph: str | None
    before: UUID | None = None


@service.handles(runtime.StartRun)
async def start_run(request: runtime.StartRun, ctx: Context[Own]) -> runtime.Run:
    if ctx.keyed:
        return await _start_once(request, ctx)
    executor = ctx.own.executor
    run, bound = await _wanted(request, ctx)
    async with _counted(run, ctx) as held:
        held.demand()
        started = executor.prepare(run, bound, request.input)
        try:
            await executor.journal.admit(started.admission, deadline=ctx.deadline)
        except BaseException:
            executor.refused(started)
            raise
    held.settle(1)
    executor.admitted(started)
    return started.run


async def _start_once(request: runtime.StartRun, ctx: Context[Own]) -> runtime.Run:
    """With an idempotency key: the answer commits with the run.

    What the request names is looked up before the transaction, so that no connection waits for other services; a repeat
    gets its stored answer, whatever the look-up says by then.
    """
    executor = ctx.own.executor
    async with AsyncExitStack() as stack:
        prepared = await _prepared(request, ctx, stack)
        try:
            async with ctx.transaction() as tx:
                started, held = _demand(prepared)
                await journal.admit(tx, [Caller.here(ctx.actor.org_id)], [started.admission])
                tx.answer(started.run)
        except BaseException:
            if not isinstance(prepared, Refused):
                executor.refused(prepared[0])
            raise
    held.settle(1)
    executor.admitted(started)
    return started.run


async def _prepared(
    request: runtime.StartRun, ctx: Context[Own], stack: AsyncExitStack
) -> tuple[Started, Held] | Refused:
    try:
        run, bound = await _wanted(request, ctx)
        held = await stack.enter_async_context(_counted(run, ctx))
        held.demand()
        return ctx.own.executor.prepare(run, bound, request.input), held
    except Refused as refusal:
        return refusal


def _demand(prepared: tuple[Started, Held] | Refused) -> tuple[Started, Held]:
    if isinstance(prepared, Refused):
        raise prepared
    return prepared


def _counted(run: runtime.Run, ctx: Context[Own]) -> AbstractAsyncContextManager[Held]:
    """The run, set aside from quotas: of whom it acts as and of whoever started it."""
    return ctx.own.quotas.set_aside(
        1, actor=ctx.actor, reservation_id=run.id, deadline=ctx.deadline, principal_id=run.actor_id
    )


async def _wanted(request: runtime.StartRun, ctx: Context[Own]) -> tuple[runtime.Run, Bound]:
    """The run that is asked for and what it executes: all checked, nothing begun."""
    own = ctx.own
    version = await resolve.graph_version(ctx, request.graph, request.environment)
    bound = await resolve.bound(ctx, version, own.components, own.executor.programs)
    resolve.check_scopes(ctx.actor, bound.program.scopes)
    resolve.check_input(bound.program.graph, request.input)
    run = runtime.Run(
        id=ctx.new_id(),
        org_id=ctx.actor.org_id,
        graph=request.graph,
        digest=version.digest,
        state="queued",
        actor_id=await resolve.actor_id(ctx, request.agent),
        started_by=ctx.actor.principal_id,
        created_at=ctx.now(),
    )
    return run, bound


@service.handles(runtime.ListRuns)
async def list_runs(request: runtime.ListRuns, ctx: Context[Own]) -> Page[runtime.Run]:
    wanted = Position(request.state, request.graph)
    after = ctx.position(request.after, Position) or wanted
    if (after.state, after.graph) != (wanted.state, wanted.graph):
        raise Refused(StaleCursor())
    found = await store.page(
        ctx.db, state=after.state, graph=after.graph, before=after.before, limit=request.limit + 1
    )
    return ctx.page(found, limit=request.limit, key=lambda run: Position(after.state, after.graph, run.id))


@service.handles(runtime.GetRun)
async def get_run(request: runtime.GetRun, ctx: Context[Own]) -> runtime.Run:
    return await store.get(ctx.db, request.run_id)


@service.handles(runtime.CancelRun)
async def cancel_run(request: runtime.CancelRun, ctx: Context[Own]) -> runtime.Run:
    async with ctx.transaction() as tx:
        run, transitions = await store.cancel(tx, request.run_id, ctx.now())
        tx.after_commit(lambda: _cancelled(ctx.own, run, transitions))
        return tx.answer(run)


@service.handles(runtime.GetTimeline)
async def get_timeline(request: runtime.GetTimeline, ctx: Context[Own]) -> runtime.Timeline:
    return await store.timeline(ctx.db, request.run_id)


@service.handles(runtime.GetOutput)
async def get_output(request: runtime.GetOutput, ctx: Context[Own]) -> runtime.Output:
    return await store.output(ctx.db, request.run_id)


@service.handles(runtime.WatchRun)
async def watch_run(request: runtime.WatchRun, ctx: Context[Own]) -> runtime.RunSnapshot:
    watched = await store.watch(ctx.db, request.run_id, after=request.after)
    if request.after is None:
        return runtime.RunSnapshot(run=watched.run, seq=watched.seq, steps=watched.steps)
    if request.after == watched.seq or watched.continues(request.after):
        return runtime.RunSnapshot(run=watched.run, seq=watched.seq, transitions=watched.transitions)
    return runtime.RunSnapshot(run=watched.run, seq=watched.seq, steps=watched.steps, recovered=False)


@service.on(identity.AgentDeleted)
async def cancel_runs(event: identity.AgentDeleted, ctx: EventContext[Own]) -> None:
    """Nothing acts as an agent that is gone."""
    why = runtime.RunError("", "agent.deleted", "the agent that it acts as was deleted")
    await _cancel_runs_of(event.agent_id, why, ctx)


@service.on(identity.AgentSuspended)
async def cancel_runs_of_suspended(event: identity.AgentSuspended, ctx: EventContext[Own]) -> None:
    """Nothing acts as an agent that is suspended; what is to go on when it is resumed is started again."""
    why = runtime.RunError("", "agent.suspended", "the agent that it acts as was suspended")
    await _cancel_runs_of(event.agent_id, why, ctx)


@service.on(identity.QuotaSet)
async def keep_quota(event: identity.QuotaSet, ctx: EventContext[Own]) -> None:
    await ctx.own.quotas.keep(ctx.tx, event)


@service.on(identity.QuotaRemoved)
async def drop_quota(event: identity.QuotaRemoved, ctx: EventContext[Own]) -> None:
    await ctx.own.quotas.drop(ctx.tx, event)


async def _cancel_runs_of(agent_id: UUID, why: runtime.RunError, ctx: EventContext[Own]) -> None:
    for run_id in await store.open_runs_of(ctx.tx, agent_id):
        run, transitions = await store.cancel(ctx.tx, run_id, ctx.now(), why)
        ctx.tx.after_commit(lambda run=run, told=transitions: _cancelled(ctx.own, run, told))  # type: ignore[misc] # bound per turn


def _cancelled(own: Own, run: runtime.Run, transitions: tuple[runtime.Transition, ...]) -> None:
    """Stop it here; another process that executes it finds its commits refused and hears of it with its next beat."""
    own.executor.drop(run.id)
    own.executor.publish(run, transitions)
