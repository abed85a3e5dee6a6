"""Answers about resources and their drafts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polis.catalog.own import Own
from polis.catalog.resources import content, life, search
from polis.catalog.resources import rows as resources
from polis.proto import Page, Refused, catalog
from polis.proto.problems import StaleCursor
from polis.service import Context, Handlers

if TYPE_CHECKING:
    from polis.db import Tenant, Transaction


handlers = Handlers()


@handlers.handles(catalog.CreateResource)
async def create_resource(request: catalog.CreateResource, ctx: Context[Own]) -> catalog.Resource:
    (await ctx.own.grants.viewer(ctx.actor)).demand_visibility(request.visibility)
    if ctx.keyed:
        async with ctx.transaction() as tx:
            return tx.answer(await resources.create(tx, await _new_resource(request, ctx, tx)))
    new = await _new_resource(request, ctx, ctx.db)
    return await ctx.own.creations.put(new.org_id, new, deadline=ctx.deadline)


async def _new_resource(
    request: catalog.CreateResource, ctx: Context[Own], db: Tenant | Transaction
) -> resources.New:
    draft = await content.written(request.type, request.content)
    await content.check(
        db,
        await ctx.own.grants.viewer(ctx.actor),
        request.type,
        request.key,
        draft,
        scripts=ctx.own.scripts,
    )
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
        tags=life.tags(request.tags),
    )
    return resources.New(resource, draft.text)


@handlers.handles(catalog.ListResources)
async def list_resources(request: catalog.ListResources, ctx: Context[Own]) -> Page[catalog.Resource]:
    after = ctx.position(request.after, resources.Position) or resources.Position(request.type)
    if after.type != request.type:
        raise Refused(StaleCursor())
    found = await resources.page(ctx.db, await ctx.own.grants.viewer(ctx.actor), after, request.limit + 1)
    return ctx.page(found, limit=request.limit, key=lambda r: resources.Position(request.type, r.key, r.id))


@handlers.handles(catalog.GetResource)
async def get_resource(request: catalog.GetResource, ctx: Context[Own]) -> catalog.Resource:
    viewer = await ctx.own.grants.viewer(ctx.actor)
    wanted = (request.resource_id, viewer.principal_id, viewer.opens)
    resource = await ctx.own.resources.get(viewer.org_id, wanted, deadline=ctx.deadline)
    if resource is None:
        raise Refused(catalog.ResourceNotFound(resource=str(request.resource_id)))
    return resource


@handlers.handles(catalog.GetDraft)
async def get_draft(request: catalog.GetDraft, ctx: Context[Own]) -> catalog.Draft:
    viewer = await ctx.own.grants.viewer(ctx.actor)
    return await resources.draft(ctx.db, viewer, request.resource_id, request.type)


@handlers.handles(catalog.PutDraft)
async def put_draft(request: catalog.PutDraft, ctx: Context[Own]) -> catalog.Draft:
    viewer = await ctx.own.grants.viewer(ctx.actor)
    async with ctx.transaction() as tx:
        resource = await resources.lock(tx, viewer, request.resource_id)
        resources.demand_type(resource.id, resource.type, request.type)
        resources.demand_revision(resource, request.revision)
        draft = await content.written(resource.type, request.content)
        await content.check(tx, viewer, resource.type, resource.key, draft, scripts=ctx.own.scripts)
        revision = await resources.put_draft(tx, resource, draft.text, at=ctx.now())
        return tx.answer(catalog.Draft(resource.id, revision, draft.content))


@handlers.handles(catalog.ChangeResource)
async def change_resource(request: catalog.ChangeResource, ctx: Context[Own]) -> catalog.Resource:
    viewer = await ctx.own.grants.viewer(ctx.actor)
    async with ctx.transaction() as tx:
        resource = await resources.lock(tx, viewer, request.resource_id)
        changed = await life.describe(
            tx,
            viewer,
            resource,
            name=request.name,
            visibility=request.visibility,
            given=request.tags,
            at=ctx.now(),
        )
        return tx.answer(changed)


@handlers.handles(catalog.Deprecate)
async def deprecate(request: catalog.Deprecate, ctx: Context[Own]) -> catalog.Resource:
    async with ctx.transaction() as tx:
        resource = await resources.lock(tx, await ctx.own.grants.viewer(ctx.actor), request.resource_id)
        changed = await life.deprecate(tx, resource, request.note, by=ctx.actor.principal_id, at=ctx.now())
        return tx.answer(changed)


@handlers.handles(catalog.Reinstate)
async def reinstate(request: catalog.Reinstate, ctx: Context[Own]) -> catalog.Resource:
    async with ctx.transaction() as tx:
        resource = await resources.lock(tx, await ctx.own.grants.viewer(ctx.actor), request.resource_id)
        return tx.answer(await life.reinstate(tx, resource, at=ctx.now()))


@handlers.handles(catalog.DeleteResource)
async def delete_resource(request: catalog.DeleteResource, ctx: Context[Own]) -> None:
    viewer = await ctx.own.grants.viewer(ctx.actor)
    async with ctx.transaction() as tx:
        resource = await resources.lock(tx, viewer, request.resource_id)
        resources.demand_type(resource.id, resource.type, request.type)
        await life.delete(tx, viewer, resource)
        return tx.answer(None)


@handlers.handles(catalog.SearchResources)
async def search_resources(request: catalog.SearchResources, ctx: Context[Own]) -> Page[catalog.Resource]:
    name = search.name_of(request)
    after = ctx.position(request.after, search.Position) or search.Position(name)
    if after.search != name:
        raise Refused(StaleCursor())
    viewer = await ctx.own.grants.viewer(ctx.actor)
    hits = await search.page(ctx.own.database, viewer, request, after, deadline=ctx.deadline)
    page = ctx.page(
        hits,
        limit=request.limit,
        key=lambda hit: search.Position(name, hit.rank, hit.resource.key, hit.resource.id),
    )
    return Page(tuple(hit.resource for hit in page.items), page.next_cursor)
