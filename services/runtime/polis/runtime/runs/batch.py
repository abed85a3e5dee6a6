"""Starting many runs of one graph: each input has its own outcome, and all that fit are accepted in one commit."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from polis.db import Caller
from polis.proto import Refused, runtime
from polis.runtime.own import Own
from polis.runtime.runs import resolve
from polis.runtime.shell import journal
from polis.runtime.shell.executor import Started
from polis.service import Context, Handlers
from polis.service.quotas import Held

if TYPE_CHECKING:
    from polis.proto.problems import Fault

handlers = Handlers()

_MOST_FAULTS = 5
"""Faults told of one input: an answer must fit into one message."""


class _Prepared(Struct, frozen=True):
    """Started runs, or the faults of an input, in the order of the request."""

    each: list[Started | tuple[Fault, ...]]
    held: Held

    @property
    def started(self) -> list[Started]:
        return [one for one in self.each if isinstance(one, Started)]

    @property
    def batch(self) -> runtime.Batch:
        return runtime.Batch(tuple(_outcome(one) for one in self.each))


@handlers.handles(runtime.StartRuns)
async def start_runs(request: runtime.StartRuns, ctx: Context[Own]) -> runtime.Batch:
    executor = ctx.own.executor
    async with AsyncExitStack() as stack:
        prepared = await _prepared(request, ctx, stack)
        try:
            async with ctx.transaction() as tx:
                demanded = _demand(prepared)
                admissions = [started.admission for started in demanded.started]
                if admissions:
                    await journal.admit(tx, [Caller.here(ctx.actor.org_id)] * len(admissions), admissions)
                answer = tx.answer(demanded.batch)
        except BaseException:
            if not isinstance(prepared, Refused):
                for started in prepared.started:
                    executor.refused(started)
            raise
    demanded.held.settle(len(demanded.started))
    for started in demanded.started:
        executor.admitted(started)
    return answer


async def _prepared(
    request: runtime.StartRuns, ctx: Context[Own], stack: AsyncExitStack
) -> _Prepared | Refused:
    """As with one run: what the request names is looked up before the transaction, and refused in it."""
    try:
        return await _all(request, ctx, stack)
    except Refused as refusal:
        return refusal


def _demand(prepared: _Prepared | Refused) -> _Prepared:
    if isinstance(prepared, Refused):
        raise prepared
    return prepared


async def _all(request: runtime.StartRuns, ctx: Context[Own], stack: AsyncExitStack) -> _Prepared:
    executor = ctx.own.executor
    active = await ctx.own.graphs.active(ctx, request.graph, request.environment)
    bound = replace(active.bound, timeout_s=request.timeout_s)
    resolve.check_scopes(ctx.actor, bound.program.scopes)
    actor_id = await resolve.actor_id(ctx, request.agent)
    faults = [resolve.input_faults(bound.program.graph, given) for given in request.inputs]
    held = await stack.enter_async_context(
        ctx.own.quotas.set_aside(
            # A reservation is of one at the least; what is not used is given back.
            max(1, sum(not found for found in faults)),
            actor=ctx.actor,
            reservation_id=ctx.new_id(),
            deadline=ctx.deadline,
            principal_id=actor_id,
        )
    )
    held.demand()
    room = executor.room
    each: list[Started | tuple[Fault, ...]] = []
    for given, found in zip(request.inputs, faults, strict=True):
        if found:
            each.append(found)
            continue
        run = runtime.Run(
            id=ctx.new_id(),
            org_id=ctx.actor.org_id,
            graph=request.graph,
            digest=active.digest,
            state="queued",
            actor_id=actor_id,
            started_by=ctx.actor.principal_id,
            created_at=ctx.now(),
            tags=tuple(dict.fromkeys(request.tags)),
        )
        started = (executor.prepare if room > 0 else executor.queue)(run, bound, given)
        room -= started.live is not None
        each.append(started)
        # A quick one has just been executed: others get the loop in between.
        await asyncio.sleep(0)
    return _Prepared(each, held)


def _outcome(one: Started | tuple[Fault, ...]) -> runtime.BatchOutcome:
    if isinstance(one, Started):
        return runtime.BatchOutcome(one.run.id, one.run.state)
    return runtime.BatchOutcome(faults=one[:_MOST_FAULTS])
