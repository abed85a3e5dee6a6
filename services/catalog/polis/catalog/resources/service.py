"""Answers about resources and their drafts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polis.catalog.access import Viewer
from polis.catalog.own import Own
from polis.catalog.resources import content
from polis.catalog.resources import rows as resources
from polis.proto import Page, Refused, catalog
from polis.proto.problems import StaleCursor
from polis.service import Context, Handlers

if TYPE_CHECKING:
    from polis.db import Tenant, Transaction


handlers = Handlers()


@handlers.handles(catalog.CreateResource)
async def create_resource(request: catalog.CreateResource, ctx: Context[Own]) -> catalog.Resource:
    Viewer.of(ctx.actor).demand_visibility(request.visibility)
    if ctx.keyed:
        async with ctx.transaction() as tx:
            return tx.answer(await resources.create(tx, await _new_resource(request, ctx, tx)))
    new = await _new_resource(request, ctx, ctx.db)
    return await ctx.own.creations.put(new.org_id, new, deadline=ctx.deadline)


async def _new_resource(
    request: catalog.CreateResource, ctx: Context[Own], db: Tenant | Transaction
) -> resources.New:
    draft = await content.written(request.type, request.content)
    await content.check(db, Viewer.of(ctx.actor), request.type, request.key, draft)
    at = ctx.now()
    resource = catalog.Resource(
        id=ctx.new_id(),
        org_id=ctx.actor.org_id,
        type=request.type,
        key=request.key,
        name=request.name or request.key,
        visibility=request.visibility,
        revision=1,
        latest=None,
        created_by=ctx.actor.principal_id,
        created_at=at,
        updated_at=at,
    )
    return resources.New(resource, draft.text)


@handlers.handles(catalog.ListResources)
async def list_resources(request: catalog.ListResources, ctx: Context[Own]) -> Page[catalog.Resource]:
    after = ctx.position(request.after, resources.Position) or resources.Position(request.type)
    if after.type != request.type:
        raise Refused(StaleCursor())
    found = await resources.page(ctx.db, Viewer.of(ctx.actor), after, request.limit + 1)
    return ctx.page(found, limit=request.limit, key=lambda r: resources.Position(request.type, r.key, r.id))


@handlers.handles(catalog.GetResource)
async def get_resource(request: catalog.GetResource, ctx: Context[Own]) -> catalog.Resource:
    viewer = Viewer.of(ctx.actor)
    wanted = (request.resource_id, viewer.principal_id, viewer.manages)
    resource = await ctx.own.resources.get(viewer.org_id, wanted, deadline=ctx.deadline)
    if resource is None:
        raise Refused(catalog.ResourceNotFound(resource=str(request.resource_id)))
    return resource


@handlers.handles(catalog.GetDraft)
async def get_draft(request: catalog.GetDraft, ctx: Context[Own]) -> catalog.Draft:
    return await resources.draft(ctx.db, Viewer.of(ctx.actor), request.resource_id)


@handlers.handles(catalog.PutDraft)
async def put_draft(request: catalog.PutDraft, ctx: Context[Own]) -> catalog.Draft:
    viewer = Viewer.of(ctx.actor)
    async with ctx.transaction() as tx:
        resource = await resources.lock(tx, viewer, request.resource_id)
        resources.demand_revision(resource, request.revision)
        draft = await content.written(resource.type, request.content)
        await content.check(tx, viewer, resource.type, resource.key, draft)
        revision = await resources.put_draft(tx, resource, draft.text, at=ctx.now())
        return tx.answer(catalog.Draft(resource.id, revision, draft.content))
