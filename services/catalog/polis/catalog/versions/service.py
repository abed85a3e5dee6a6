"""Answers about versions, and which of them an environment uses."""

from __future__ import annotations

from polis.catalog.access import Viewer
from polis.catalog.own import Own
from polis.catalog.resources import content
from polis.catalog.resources import rows as resources
from polis.catalog.versions import activations
from polis.catalog.versions import rows as versions
from polis.proto import Page, Refused, catalog
from polis.proto.problems import StaleCursor
from polis.service import Context, Handlers

handlers = Handlers()


@handlers.handles(catalog.PublishVersion)
async def publish_version(request: catalog.PublishVersion, ctx: Context[Own]) -> catalog.Version:
    viewer = Viewer.of(ctx.actor)
    async with ctx.transaction() as tx:
        resource = await resources.lock(tx, viewer, request.resource_id)
        resources.demand_revision(resource, request.revision)
        draft = content.stored(await resources.drafted(tx, resource))
        # Again, because the components that a graph names may have changed since its draft was written.
        await content.check(tx, viewer, resource.type, resource.key, draft)
        version = await versions.publish(
            tx, resource, draft, changelog=request.changelog, by=ctx.actor.principal_id, at=ctx.now()
        )
        return tx.answer(version)


@handlers.handles(catalog.ListVersions)
async def list_versions(request: catalog.ListVersions, ctx: Context[Own]) -> Page[catalog.VersionSummary]:
    after = ctx.position(request.after, versions.Position) or versions.Position(request.resource_id)
    if after.resource_id != request.resource_id:
        raise Refused(StaleCursor())
    resource = await resources.get(ctx.db, Viewer.of(ctx.actor), request.resource_id)
    found = await versions.page(ctx.db, resource, after.number, request.limit + 1)
    return ctx.page(found, limit=request.limit, key=lambda v: versions.Position(resource.id, v.number))


@handlers.handles(catalog.GetVersion)
async def get_version(request: catalog.GetVersion, ctx: Context[Own]) -> catalog.Version:
    return await versions.get(ctx.db, Viewer.of(ctx.actor), request.resource_id, request.version)


@handlers.handles(catalog.Activate)
async def activate(request: catalog.Activate, ctx: Context[Own]) -> catalog.Activation:
    async with ctx.transaction() as tx:
        resource = await resources.lock(tx, Viewer.of(ctx.actor), request.resource_id)
        activation = await activations.activate(
            tx, resource, request.environment, request.number, by=ctx.actor.principal_id, at=ctx.now()
        )
        return tx.answer(activation)


@handlers.handles(catalog.ResolveResource)
async def resolve_resource(request: catalog.ResolveResource, ctx: Context[Own]) -> catalog.Version:
    return await versions.resolve(
        ctx.db, Viewer.of(ctx.actor), request.type, request.key, request.environment
    )
