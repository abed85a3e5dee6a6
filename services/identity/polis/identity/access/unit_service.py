"""Answers about units."""

from __future__ import annotations

from polis.identity.access import grants, quotas, units
from polis.identity.access.telling import tell
from polis.identity.own import Own
from polis.proto import Page, identity
from polis.service import Context, Handlers

handlers = Handlers()


@handlers.handles(identity.CreateUnit)
async def create_unit(request: identity.CreateUnit, ctx: Context[Own]) -> identity.Unit:
    unit = identity.Unit(
        id=ctx.new_id(),
        org_id=ctx.actor.org_id,
        kind=request.kind,
        key=request.key,
        name=request.name,
        parent_id=request.parent_id,
        created_by=ctx.actor.principal_id,
        created_at=ctx.now(),
    )
    async with ctx.transaction() as tx:
        await units.create(tx, unit)
        await tell(ctx, tx, "unit.created", unit.id, key=unit.key)
        return tx.answer(unit)


@handlers.handles(identity.ListUnits)
async def list_units(request: identity.ListUnits, ctx: Context[Own]) -> Page[identity.Unit]:
    after = ctx.position(request.after, str)
    found = await units.page(ctx.db, ctx.actor.org_id, request, after, request.limit + 1)
    return ctx.page(found, limit=request.limit, key=lambda unit: unit.key)


@handlers.handles(identity.GetUnit)
async def get_unit(request: identity.GetUnit, ctx: Context[Own]) -> identity.Unit:
    return await units.get(ctx.db, ctx.actor.org_id, request.unit_id)


@handlers.handles(identity.RenameUnit)
async def rename_unit(request: identity.RenameUnit, ctx: Context[Own]) -> identity.Unit:
    async with ctx.transaction() as tx:
        unit = await units.rename(tx, ctx.actor.org_id, request.unit_id, request.name)
        await tell(ctx, tx, "unit.renamed", unit.id, key=unit.key)
        return tx.answer(unit)


@handlers.handles(identity.DeleteUnit)
async def delete_unit(request: identity.DeleteUnit, ctx: Context[Own]) -> None:
    async with ctx.transaction() as tx:
        await units.delete(tx, ctx.actor.org_id, request.unit_id)
        await grants.take_of(tx, ctx.actor.org_id, identity.Holder("unit", request.unit_id))
        await quotas.forget(tx, ctx.actor.org_id, "unit", request.unit_id)
        await tell(ctx, tx, "unit.deleted", request.unit_id)
        return tx.answer(None)
