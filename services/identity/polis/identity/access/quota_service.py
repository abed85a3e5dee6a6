"""Answers about quotas, and what services set aside and settle."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from polis.identity.access import quotas, usages
from polis.identity.access.telling import tell
from polis.identity.own import Own
from polis.proto import Page, Refused, identity
from polis.proto.problems import Fault, Invalid
from polis.service import Context, Handlers

if TYPE_CHECKING:
    from datetime import datetime

    from polis.db import Transaction

handlers = Handlers()
_IMPOSES = "identity:limits"


@handlers.handles(identity.SetQuota)
async def set_quota(request: identity.SetQuota, ctx: Context[Own]) -> identity.Quota:
    if request.imposed:
        ctx.actor.demand(_IMPOSES)
    if (request.subject.id is None) is not (request.subject.kind == "org"):
        fault = Fault(
            pointer="/subject", detail="Expected `id` of a unit, principal or key, or none for the org"
        )
        raise Refused(Invalid(faults=(fault,)))
    async with ctx.transaction() as tx:
        quota = await quotas.put(
            tx,
            ctx.actor.org_id,
            request,
            quota_id=ctx.new_id(),
            by=ctx.actor.principal_id,
            at=ctx.now(),
        )
        bound = f"{quota.most} {quota.meter} of each {quota.period}"
        await tell(ctx, tx, "quota.set", quota.id, of=quota.subject.id or "org", bound=bound)
        return tx.answer(quota)


@handlers.handles(identity.ListQuotas)
async def list_quotas(request: identity.ListQuotas, ctx: Context[Own]) -> Page[identity.Quota]:
    after = ctx.position(request.after, UUID)
    found = await quotas.page(
        ctx.db, ctx.actor.org_id, request.subject_id, at=ctx.now(), after=after, limit=request.limit + 1
    )
    return ctx.page(found, limit=request.limit, key=lambda quota: quota.id)


@handlers.handles(identity.RemoveQuota)
async def remove_quota(request: identity.RemoveQuota, ctx: Context[Own]) -> None:
    async with ctx.transaction() as tx:
        if (await quotas.get(tx, ctx.actor.org_id, request.quota_id, ctx.now())).imposed:
            ctx.actor.demand(_IMPOSES)
        await quotas.remove(tx, ctx.actor.org_id, request.quota_id)
        await tell(ctx, tx, "quota.removed", request.quota_id)
        return tx.answer(None)


@handlers.handles(identity.ReserveUsage)
async def reserve_usage(request: identity.ReserveUsage, ctx: Context[Own]) -> identity.Reservation:
    org_id, at = request.org_id, ctx.now()
    until = at + timedelta(seconds=request.ttl_s)
    async with ctx.own.database.transaction((org_id,), deadline=ctx.deadline) as tx:
        if await usages.claim(tx, org_id, request.reservation_id, request.amount, until):
            uses = await _lock(tx, request, at)
            usages.demand_room(uses, request.amount)
            await usages.set_aside(tx, org_id, request.reservation_id, uses, request.amount)
    return identity.Reservation(request.reservation_id, until)


@handlers.handles(identity.SettleUsage)
async def settle_usage(request: identity.SettleUsage, ctx: Context[Own]) -> None:
    async with ctx.own.database.transaction((request.org_id,), deadline=ctx.deadline) as tx:
        await usages.settle(tx, request.org_id, request.reservation_id, request.used, ctx.now())


@handlers.handles(identity.ReleaseUsage)
async def release_usage(request: identity.ReleaseUsage, ctx: Context[Own]) -> None:
    org_id, at = request.org_id, ctx.now()
    async with ctx.own.database.transaction((org_id,), deadline=ctx.deadline) as tx:
        if await usages.claim(tx, org_id, request.release_id, 0, at):
            uses = await _lock(tx, request, at)
            await usages.give_back(tx, org_id, uses, request.amount)
            await usages.settle(tx, org_id, request.release_id, 0, at)


async def _lock(
    tx: Transaction, request: identity.ReserveUsage | identity.ReleaseUsage, at: datetime
) -> list[usages.Use]:
    return await usages.lock(
        tx,
        request.org_id,
        request.meter,
        principal_id=request.principal_id,
        key_id=request.key_id,
        at=at,
    )
