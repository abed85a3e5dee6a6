"""Answers about triggers, and what the catalog tells that concerns them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.proto import Page, Refused, catalog, runtime
from polis.proto.problems import StaleCursor
from polis.proto.runtime import TERMINAL, Hooked
from polis.proto.trigger import Schedule, Webhook
from polis.runtime.own import Own
from polis.runtime.runs import start, store
from polis.runtime.triggers import hooks, marks, rows
from polis.runtime.triggers.clock import iso
from polis.runtime.triggers.firing import agent_of, given
from polis.runtime.triggers.slots import following
from polis.service import Context, EventContext, Handlers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from polis.db import Transaction

handlers = Handlers()
_LOOK_S = 0.25
"""How often the end of a run that another process executes is looked for."""


class Position(Struct, frozen=True):
    """Where a list of triggers goes on, and which list it is."""

    graph: str | None
    kind: str | None
    environment: str | None
    id: UUID | None = None


# What the catalog tells


@handlers.on(catalog.VersionActivated)
async def read_activated(event: catalog.VersionActivated, ctx: EventContext[Own]) -> None:
    await ctx.own.triggers.activations.mark(ctx.tx, event.org_id, event.resource_id, event.environment)


@handlers.on(catalog.VersionDeactivated)
async def read_deactivated(event: catalog.VersionDeactivated, ctx: EventContext[Own]) -> None:
    await ctx.own.triggers.activations.mark(ctx.tx, event.org_id, event.resource_id, event.environment)


@handlers.on(catalog.ResourceChanged)
async def read_changed(event: catalog.ResourceChanged, ctx: EventContext[Own]) -> None:
    await ctx.own.triggers.activations.mark_all(ctx.tx, event.org_id, event.resource_id)


@handlers.on(catalog.ResourceDeleted)
async def read_deleted(event: catalog.ResourceDeleted, ctx: EventContext[Own]) -> None:
    await ctx.own.triggers.activations.mark_all(ctx.tx, event.org_id, event.resource_id)


# What is asked


@handlers.handles(runtime.ListTriggers)
async def list_triggers(request: runtime.ListTriggers, ctx: Context[Own]) -> Page[runtime.Trigger]:
    wanted = Position(request.graph, request.kind, request.environment)
    after = ctx.position(request.after, Position) or wanted
    if msgspec.structs.replace(after, id=None) != wanted:
        raise Refused(StaleCursor())
    found = await rows.page(
        ctx.db,
        after.id,
        request.limit + 1,
        graph=request.graph,
        kind=request.kind,
        environment=request.environment,
    )
    return ctx.page(
        found, limit=request.limit, key=lambda trigger: msgspec.structs.replace(wanted, id=trigger.id)
    )


@handlers.handles(runtime.GetTrigger)
async def get_trigger(request: runtime.GetTrigger, ctx: Context[Own]) -> runtime.Trigger:
    return await rows.get(ctx.db, request.trigger_id)


@handlers.handles(runtime.PauseTrigger)
async def pause_trigger(request: runtime.PauseTrigger, ctx: Context[Own]) -> runtime.Trigger:
    async with ctx.transaction() as tx:
        await tx.execute(
            """
            update runtime.triggers set paused_at = clock_timestamp(), paused_by = $3, due_at = null, pending = null,
                pending_id = null, pending_seq = null, pending_since = null
            where org_id = $1 and id = $2 and ended_at is null and paused_at is null
            """,
            ctx.actor.org_id,
            request.trigger_id,
            ctx.actor.principal_id,
        )
        tx.after_commit(ctx.own.triggers.changed)
        return tx.answer(await rows.get(tx, request.trigger_id))


@handlers.handles(runtime.ResumeTrigger)
async def resume_trigger(request: runtime.ResumeTrigger, ctx: Context[Own]) -> runtime.Trigger:
    async with ctx.transaction() as tx:
        trigger = await rows.armed(tx, request.trigger_id)
        now: datetime = await tx.value("select clock_timestamp()")
        on = trigger.on.on
        await tx.execute(
            """
            update runtime.triggers set paused_at = null, paused_by = null, slot_at = $3, due_at = $3
            where org_id = $1 and id = $2 and ended_at is null and paused_at is not null
            """,
            ctx.actor.org_id,
            request.trigger_id,
            following(on, now) if isinstance(on, Schedule) else None,
        )
        tx.after_commit(ctx.own.triggers.changed)
        return tx.answer(await rows.get(tx, request.trigger_id))


@handlers.handles(runtime.FireTrigger)
async def fire_trigger(request: runtime.FireTrigger, ctx: Context[Own]) -> runtime.Run:
    trigger = await rows.armed(ctx.db, request.trigger_id)
    spec = trigger.on
    value = {"trigger": trigger.name, "at": iso(ctx.now())}
    wanted = runtime.StartRun(
        graph=trigger.graph,
        input={**given(spec, value), **request.input},
        agent=agent_of(trigger, spec),
        environment=trigger.environment,
    )
    return await start.start_with(wanted, ctx, _by_hand(trigger))


@handlers.handles(runtime.RotateHookToken)
async def rotate_hook_token(request: runtime.RotateHookToken, ctx: Context[Own]) -> runtime.HookToken:
    token, token_hash = hooks.mint()
    async with ctx.transaction() as tx:
        on = (await rows.armed(tx, request.trigger_id)).on.on
        if not isinstance(on, Webhook) or on.secret is not None:
            raise Refused(runtime.NoToken())
        await tx.execute(
            """
            update runtime.triggers set old_token_hash = token_hash, token_hash = $3,
                old_token_until = clock_timestamp() + make_interval(secs => $4)
            where org_id = $1 and id = $2
            """,
            ctx.actor.org_id,
            request.trigger_id,
            token_hash,
            float(request.overlap_s),
        )
    return runtime.HookToken(request.trigger_id, f"{rows.HOOKS}/{request.trigger_id}", token)


@handlers.handles(runtime.TellEvent)
async def tell_event(request: runtime.TellEvent, ctx: Context[Own]) -> runtime.ToldEvent:
    told = runtime.ToldEvent(ctx.new_id())
    async with ctx.transaction() as tx:
        await tx.emit(
            runtime.EventTold(
                org_id=ctx.actor.org_id,
                told_id=told.id,
                type=request.type,
                told_by=ctx.actor.principal_id,
                agent=request.agent,
                data=request.data,
            )
        )
        return tx.answer(told)


@handlers.handles(runtime.ReceiveHook)
async def receive_hook(request: runtime.ReceiveHook, ctx: Context[Own]) -> Hooked:
    org_id, run_id, wait_s = await ctx.own.triggers.hooks.receive(request)
    try:
        return await _hooked(ctx, org_id, run_id, wait_s or 0)
    except Refused as refusal:
        if isinstance(
            refusal.problem, runtime.RunNotFound
        ):  # it was deleted, and a post starts one run alone
            raise Refused(runtime.HookRefused()) from None
        raise


def _by_hand(trigger: rows.Armed) -> Callable[[Transaction, runtime.Run], Awaitable[None]]:
    async def mark(tx: Transaction, run: runtime.Run) -> None:
        occurrence = f"by hand {run.id}"
        await marks.fired_by_hand(tx, trigger, run.id, occurrence)
        await marks.name_run(tx, trigger, run.id, occurrence)

    return mark


async def _hooked(ctx: Context[Own], org_id: UUID, run_id: UUID, wait_s: int) -> Hooked:
    """The run, when it has ended or the time for its answer is over."""
    db = ctx.own.triggers.database.tenant(org_id)
    loop = asyncio.get_running_loop()
    end = loop.time() + wait_s
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(end):
                await ctx.own.executor.ended(run_id)
        run = await store.get(db, run_id)
        if run.state in TERMINAL or loop.time() >= end:
            break
        # It is executed elsewhere, or waits for something.
        await asyncio.sleep(min(_LOOK_S, max(0.0, end - loop.time())))
    if run.state != "succeeded" or not wait_s:
        return Hooked(run_id, run.state)
    return Hooked(run_id, run.state, (await store.output(db, run_id)).values)
