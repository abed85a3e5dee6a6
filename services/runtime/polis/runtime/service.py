"""The runtime answers for runs: durable executions of one graph version. It owns schema `runtime`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polis.proto import Refused, identity, runtime
from polis.runtime.asks import approvals, handing, talked
from polis.runtime.asks import service as asks
from polis.runtime.assistants import service as assistants
from polis.runtime.children import ends
from polis.runtime.children import service as children
from polis.runtime.config import Config
from polis.runtime.jobs import service as jobs
from polis.runtime.notifications import service as notifications
from polis.runtime.own import Own
from polis.runtime.pictures import service as pictures
from polis.runtime.retention import service as retention
from polis.runtime.runs import batch, migrate, origin, pause, standing, start, store
from polis.runtime.runs import service as runs
from polis.runtime.signals import service as signals
from polis.runtime.triggers import service as triggers
from polis.runtime.triggers.keeper import open_with_triggers
from polis.service import EventContext, Service

if TYPE_CHECKING:
    from uuid import UUID

service = Service("runtime", settings=Config, open=open_with_triggers)
service.include(triggers.handlers)
service.include(
    start.handlers,
    batch.handlers,
    origin.handlers,
    migrate.handlers,
    runs.handlers,
    asks.handlers,
    assistants.handlers,
    handing.handlers,
    talked.handlers,
    children.handlers,
    pause.handlers,
    signals.handlers,
    retention.handlers,
    jobs.handlers,
    pictures.handlers,
    notifications.handlers,
)


@service.on(identity.AgentDeleted)
async def cancel_runs(event: identity.AgentDeleted, ctx: EventContext[Own]) -> None:
    """Nothing acts as an agent that is gone, and nothing is approved for it."""
    why = runtime.RunError("", "agent.deleted", "the agent that it acts as was deleted")
    await _cancel_runs_of(event.agent_id, why, ctx)
    await approvals.drop(ctx.tx, await approvals.of_agent(ctx.tx, event.agent_id), ctx.now())


@service.on(identity.AgentSuspended)
async def cancel_runs_of_suspended(event: identity.AgentSuspended, ctx: EventContext[Own]) -> None:
    """Nothing acts as an agent that is suspended; what is to go on when it is resumed is started again."""
    why = runtime.RunError("", "agent.suspended", "the agent that it acts as was suspended")
    await _cancel_runs_of(event.agent_id, why, ctx)


@service.on(identity.AgentResumed)
async def let_resumed_act(event: identity.AgentResumed, ctx: EventContext[Own]) -> None:
    await standing.resume(ctx.tx, event.agent_id)


@service.on(runtime.ChildEnded)
async def tell_parent(event: runtime.ChildEnded, ctx: EventContext[Own]) -> None:
    await ends.tell_parent(ctx.tx, event.run_id, event.parent_id, ctx.own.executor.peers)


@service.on(runtime.ChildAbandoned)
async def cancel_child(event: runtime.ChildAbandoned, ctx: EventContext[Own]) -> None:
    """Nothing goes on that nobody waits for."""
    why = runtime.RunError("", "parent.gone", f"nobody waits for it in the run {event.parent_id}")
    try:
        run, transitions = await store.cancel(ctx.tx, event.run_id, ctx.now(), why)
    except Refused as refusal:
        if not isinstance(refusal.problem, runtime.RunEnded | runtime.RunNotFound):
            raise
        return
    ctx.tx.after_commit(lambda: runs.cancelled(ctx.own, run, transitions))


@service.on(identity.QuotaSet)
async def keep_quota(event: identity.QuotaSet, ctx: EventContext[Own]) -> None:
    await ctx.own.quotas.bounded.keep(ctx.tx, event)


@service.on(identity.QuotaRemoved)
async def drop_quota(event: identity.QuotaRemoved, ctx: EventContext[Own]) -> None:
    await ctx.own.quotas.bounded.drop(ctx.tx, event)


async def _cancel_runs_of(agent_id: UUID, why: runtime.RunError, ctx: EventContext[Own]) -> None:
    await standing.stop(ctx.tx, agent_id, ctx.now())
    ctx.tx.after_commit(ctx.own.latecomers.heard.set)
    for run_id in await store.open_runs_of(ctx.tx, agent_id):
        run, transitions = await store.cancel(ctx.tx, run_id, ctx.now(), why)
        ctx.tx.after_commit(lambda run=run, told=transitions: runs.cancelled(ctx.own, run, told))  # type: ignore[misc] # bound per turn
