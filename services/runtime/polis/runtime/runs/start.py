"""Starting a run: what it names is looked up and checked, it is counted, and accepted in one commit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import TYPE_CHECKING

from msgspec.structs import replace

from polis.db import Caller, Transaction
from polis.proto import Refused, runtime
from polis.runtime.own import Own
from polis.runtime.runs import resolve
from polis.runtime.shell import journal
from polis.runtime.shell.executor import Started
from polis.service import Context, Handlers
from polis.service.quotas import Held

if TYPE_CHECKING:
    from polis.runtime.shell.programs import Bound

handlers = Handlers()
Also = Callable[[Transaction, runtime.Run], Awaitable[None]]
Find = Callable[[], Awaitable[tuple[runtime.Run, "Bound"]]]


@handlers.handles(runtime.StartRun)
async def start_run(request: runtime.StartRun, ctx: Context[Own]) -> runtime.Run:
    if ctx.keyed:
        return await once(ctx, lambda: wanted(request, ctx), request.input)
    executor = ctx.own.executor
    run, bound = await wanted(request, ctx)
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


async def start_with(request: runtime.StartRun, ctx: Context[Own], also: Also) -> runtime.Run:
    """Start a run in one commit with what else is written; what that raises undoes both."""
    return await once(ctx, lambda: wanted(request, ctx), request.input, also)


async def _nothing_else(_tx: Transaction, _run: runtime.Run) -> None:
    pass


async def once(
    ctx: Context[Own],
    find: Find,
    inputs: Mapping[str, object],
    within: Also = _nothing_else,
) -> runtime.Run:
    """With an idempotency key: the answer commits with the run, and with what else is done within its transaction.

    What the request names is looked up before the transaction, so that no connection waits for other services; a repeat
    gets its stored answer, whatever the look-up says by then.
    """
    executor = ctx.own.executor
    async with AsyncExitStack() as stack:
        prepared = await _prepared(ctx, find, inputs, stack)
        try:
            async with ctx.transaction() as tx:
                started, held = _demand(prepared)
                await journal.admit(tx, [Caller.here(ctx.actor.org_id)], [started.admission])
                await within(tx, started.run)
                tx.answer(started.run)
        except BaseException:
            if not isinstance(prepared, Refused):
                executor.refused(prepared[0])
            raise
    held.settle(1)
    executor.admitted(started)
    return started.run


async def _prepared(
    ctx: Context[Own],
    find: Find,
    inputs: Mapping[str, object],
    stack: AsyncExitStack,
) -> tuple[Started, Held] | Refused:
    try:
        run, bound = await find()
        held = await stack.enter_async_context(_counted(run, ctx))
        held.demand()
        return ctx.own.executor.prepare(run, bound, inputs), held
    except Refused as refusal:
        return refusal


def _demand(prepared: tuple[Started, Held] | Refused) -> tuple[Started, Held]:
    if isinstance(prepared, Refused):
        raise prepared
    return prepared


def _counted(run: runtime.Run, ctx: Context[Own]) -> AbstractAsyncContextManager[Held]:
    """The run, set aside from quotas: of whom it acts as and of whoever started it."""
    attempt = run.id if run.parent_id is None else ctx.new_id()  # attempts to start a child share its id
    return ctx.own.quotas.set_aside(
        1, actor=ctx.actor, reservation_id=attempt, deadline=ctx.deadline, principal_id=run.actor_id
    )


async def wanted(
    request: runtime.StartRun, ctx: Context[Own], *, number: int | None = None
) -> tuple[runtime.Run, Bound]:
    """The run that is asked for and what it executes: all checked, nothing begun."""
    own = ctx.own
    active = await own.graphs.active(ctx, request.graph, request.environment, number)
    bound = active.bound
    resolve.check_scopes(ctx.actor, bound.program.scopes)
    resolve.check_input(bound.program.graph, request.input)
    run = runtime.Run(
        id=ctx.new_id(),
        org_id=ctx.actor.org_id,
        graph=request.graph,
        digest=active.digest,
        state="queued",
        actor_id=await resolve.actor_id(ctx, request.agent),
        started_by=ctx.actor.principal_id,
        created_at=ctx.now(),
        tags=tuple(dict.fromkeys(request.tags)),
    )
    return run, bound if request.timeout_s is None else replace(bound, timeout_s=request.timeout_s)
