"""Answers about quotas, and what services set aside and settle."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from polis.identity.access import quotas, usages
from polis.identity.access.telling import tell
from polis.identity.own import Own
from polis.proto import Page, Refused, catalog, identity
from polis.proto.problems import Fault, Invalid
from polis.service import Context, EventContext, Handlers

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


@handlers.handles(identity.ListOrgQuotas)
async def list_org_quotas(request: identity.ListOrgQuotas, ctx: Context[Own]) -> identity.OrgQuotas:
    async with ctx.across_orgs() as tx:
        found = await quotas.of_meter(tx, request.meter, request.after)
    more = len(found) == quotas.METER_PAGE
    return identity.OrgQuotas(tuple(found), found[-1].quota_id if more else None)


@handlers.handles(identity.ReserveUsage)
async def reserve_usage(request: identity.ReserveUsage, ctx: Context[Own]) -> identity.Reservation:
    org_id, at = request.org_id, ctx.now()
    until, left = at + timedelta(seconds=request.ttl_s), None
    async with ctx.own.database.transaction((org_id,), deadline=ctx.deadline) as tx:
        if await usages.claim(tx, org_id, request.reservation_id, request.amount, until):
            principals = [p for p in (request.principal_id, request.behalf_id) if p is not None]
            uses = await usages.lock(
                tx, org_id, request.meter, principals=principals, key_id=request.key_id, at=at
            )
            usages.demand_room(uses, request.amount)
            await usages.set_aside(tx, org_id, request.reservation_id, uses, request.amount)
            left = min((use.left - request.amount for use in uses), default=None)
    return identity.Reservation(request.reservation_id, until, left)


@handlers.handles(identity.SettleUsage)
async def settle_usage(request: identity.SettleUsage, ctx: Context[Own]) -> None:
    async with ctx.own.database.transaction((request.org_id,), deadline=ctx.deadline) as tx:
        await usages.settle(tx, request.org_id, request.reservation_id, request.used, ctx.now())


@handlers.handles(identity.ReleaseUsage)
async def release_usage(request: identity.ReleaseUsage, ctx: Context[Own]) -> None:
    org_id, at = request.org_id, ctx.now()
    async with ctx.own.database.transaction((org_id,), deadline=ctx.deadline) as tx:
        if await usages.claim(tx, org_id, request.release_id, 0, at):
            uses = await usages.lock(
                tx, org_id, request.meter, principals=[request.principal_id], key_id=request.key_id, at=at
            )
            await usages.give_back(tx, org_id, uses, request.amount)
            await usages.settle(tx, org_id, request.release_id, 0, at)


@handlers.on(catalog.UploadSettled)
async def settle_upload(event: catalog.UploadSettled, ctx: EventContext[Own]) -> None:
    await usages.settle(ctx.tx, event.org_id, event.upload_id, event.used, ctx.now())


@handlers.on(catalog.StorageFreed)
async def give_storage_back(event: catalog.StorageFreed, ctx: EventContext[Own]) -> None:
    uses = await usages.lock(
        ctx.tx, event.org_id, "storage", principals=[event.principal_id], key_id=event.key_id, at=ctx.now()
    )
    await usages.give_back(ctx.tx, event.org_id, uses, event.size)
