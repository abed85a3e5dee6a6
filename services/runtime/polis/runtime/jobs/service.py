"""Answers to workers: claiming jobs, keeping them, bringing their outcomes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import islice
from typing import TYPE_CHECKING

from polis.graph import compiled, pointer
from polis.proto import Refused, runtime
from polis.proto.problems import Fault, Invalid
from polis.runtime import waits
from polis.runtime.engine.activation import Failure, Recorded
from polis.runtime.jobs import costs, rows
from polis.runtime.jobs.access import demand_components
from polis.runtime.own import Own
from polis.service import Context, Handlers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from polis.db import Transaction
    from polis.runtime.custom.job import Offer
    from polis.runtime.jobs.rows import Held

handlers = Handlers()
_MAX_FAULTS = 50
_MARGIN_S = 1.0
"""Before the caller's deadline an answer is given, also an empty one."""


@handlers.handles(runtime.ClaimJobs)
async def claim_jobs(request: runtime.ClaimJobs, ctx: Context[Own]) -> runtime.Jobs:
    await demand_components(ctx, request.components)
    loop = asyncio.get_running_loop()
    until = loop.time() + min(request.wait_s, ctx.deadline.remaining() - _MARGIN_S)
    while True:
        async with ctx.transaction() as tx:
            claimed = await rows.claim(tx, request.components, ctx.actor.principal_id, request.limit)
        left = until - loop.time()
        if claimed or left <= 0 or not await ctx.own.jobs.wait(ctx.actor.org_id, left):
            return runtime.Jobs(tuple(claimed))


@handlers.handles(runtime.HeartbeatJob)
async def heartbeat_job(request: runtime.HeartbeatJob, ctx: Context[Own]) -> runtime.JobLease:
    async with ctx.transaction() as tx:
        held = await rows.hold(tx, request.job_id, request.token, ctx.actor.principal_id)
        return tx.answer(runtime.JobLease(await rows.keep(tx, held)))


@handlers.handles(runtime.CompleteJob)
async def complete_job(request: runtime.CompleteJob, ctx: Context[Own]) -> None:
    async with _cost_told(request, ctx), ctx.transaction() as tx:
        held = await rows.hold(tx, request.job_id, request.token, ctx.actor.principal_id, ends=True)
        _demand_ports(request, held)
        emitted = tuple((message.port, message.value) for message in request.emitted)
        await _bring(tx, held, Recorded(emitted=emitted, cost=held.cost + request.cost), ctx)
        return tx.answer(None)


@handlers.handles(runtime.FailJob)
async def fail_job(request: runtime.FailJob, ctx: Context[Own]) -> None:
    async with _cost_told(request, ctx), ctx.transaction() as tx:
        held = await rows.hold(tx, request.job_id, request.token, ctx.actor.principal_id, ends=True)
        if request.retryable and held.token < held.offer.attempts:
            await rows.give_back(tx, held, request.cost)
        else:
            failure = Failure(request.kind, request.message)
            await _bring(tx, held, Recorded(failure=failure, cost=held.cost + request.cost), ctx)
        return tx.answer(None)


@asynccontextmanager
async def _cost_told(
    request: runtime.CompleteJob | runtime.FailJob, ctx: Context[Own]
) -> AsyncGenerator[None, None]:
    """Nobody takes this outcome any more, as when the run was cancelled or the claim was lost: what it has cost is kept, and told."""
    try:
        yield
    except Refused as refusal:
        if request.cost and isinstance(refusal.problem, runtime.JobNotFound | runtime.JobLost):
            async with ctx.db.transaction() as tx:
                await costs.report(tx, request.job_id, request.token, ctx.actor.principal_id, request.cost)
        raise


async def _bring(tx: Transaction, held: Held, outcome: Recorded, ctx: Context[Own]) -> None:
    try:
        done = await waits.complete(tx, held.wait, outcome, ctx.own.executor.peers)
    except ValueError as error:
        raise Refused(Invalid(faults=(Fault("/emitted", str(error)),))) from None
    if not done:
        raise Refused(runtime.JobNotFound(job_id=held.wait.id))


def _demand_ports(request: runtime.CompleteJob, held: Held) -> None:
    faults = tuple(islice(_faults(request, held.offer), _MAX_FAULTS))
    if faults:
        raise Refused(Invalid(faults=faults))


def _faults(request: runtime.CompleteJob, offer: Offer) -> Iterator[Fault]:
    """What the component does not give."""
    known = ", ".join(f"`{port}`" for port in offer.outputs) or "none"
    for n, message in enumerate(request.emitted):
        if message.port not in offer.outputs:
            yield Fault(pointer("emitted", n, "port"), f"the component has no such output (it has: {known})")
        elif message.port in offer.schemas:
            yield from compiled(offer.schemas[message.port]).faults(message.value, "emitted", n, "value")
