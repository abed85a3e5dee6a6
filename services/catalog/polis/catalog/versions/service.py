"""Answers about versions, and which of them an environment uses."""

from __future__ import annotations

from polis.catalog.own import Own
from polis.catalog.resources import content
from polis.catalog.resources import rows as resources
from polis.catalog.versions import activations, breaking, comparison, effective, uses
from polis.catalog.versions import rows as versions
from polis.proto import Page, Refused, catalog
from polis.proto.problems import StaleCursor
from polis.service import Context, Handlers

handlers = Handlers()
handlers.include(effective.handlers)


@handlers.handles(catalog.PublishVersion)
async def publish_version(request: catalog.PublishVersion, ctx: Context[Own]) -> catalog.Version:
    viewer = await ctx.own.grants.viewer(ctx.actor)
    async with ctx.transaction() as tx:
        resource = await resources.lock(tx, viewer, request.resource_id)
        resources.demand_revision(resource, request.revision)
        draft = content.stored(await resources.drafted(tx, resource))
        # Again, because the components that a graph names may have changed since its draft was written.
        await content.check(tx, viewer, resource.type, resource.key, draft, scripts=ctx.own.scripts)
        version = await versions.publish(
            tx, resource, draft, changelog=request.changelog, by=ctx.actor.principal_id, at=ctx.now()
        )
        await uses.record(tx, viewer, resource, version.number, draft)
        return tx.answer(version)


@handlers.handles(catalog.ListVersions)
async def list_versions(request: catalog.ListVersions, ctx: Context[Own]) -> Page[catalog.VersionSummary]:
    after = ctx.position(request.after, versions.Position) or versions.Position(request.resource_id)
    if after.resource_id != request.resource_id:
        raise Refused(StaleCursor())
    resource = await resources.get(ctx.db, await ctx.own.grants.viewer(ctx.actor), request.resource_id)
    found = await versions.page(ctx.db, resource, after.number, request.limit + 1)
    return ctx.page(found, limit=request.limit, key=lambda v: versions.Position(resource.id, v.number))


@handlers.handles(catalog.GetVersion)
async def get_version(request: catalog.GetVersion, ctx: Context[Own]) -> catalog.Version:
    return await versions.get(
        ctx.db, await ctx.own.grants.viewer(ctx.actor), request.resource_id, request.version
    )


@handlers.handles(catalog.Activate)
async def activate(request: catalog.Activate, ctx: Context[Own]) -> catalog.Activation:
    viewer = await ctx.own.grants.viewer(ctx.actor)
    async with ctx.transaction() as tx:
        resource = await resources.lock(tx, viewer, request.resource_id)
        serves = resource.type == "component" and request.environment == content.COMPONENTS_FROM
        async with breaking.unbroken(tx, viewer, [resource.key] if serves else [], ctx.own.scripts):
            activation = await activations.activate(
                tx,
                resource,
                request.environment,
                request.number,
                by=ctx.actor.principal_id,
                at=ctx.now(),
                scopes=ctx.actor.scopes,
            )
        return tx.answer(activation)


@handlers.handles(catalog.ResolveResource)
async def resolve_resource(request: catalog.ResolveResource, ctx: Context[Own]) -> catalog.Version:
    return await versions.resolve(ctx.db, await ctx.own.grants.viewer(ctx.actor), request)


@handlers.handles(catalog.CompareVersions)
async def compare_versions(request: catalog.CompareVersions, ctx: Context[Own]) -> catalog.Comparison:
    viewer = await ctx.own.grants.viewer(ctx.actor)
    version = await versions.get(ctx.db, viewer, request.resource_id, request.version)
    before = request.base or str(max(1, version.number - 1))
    base = await versions.get(ctx.db, viewer, request.resource_id, before)
    return await comparison.compare(base, version)


@handlers.handles(catalog.ListDependencies)
async def list_dependencies(request: catalog.ListDependencies, ctx: Context[Own]) -> Page[catalog.Dependency]:
    viewer = await ctx.own.grants.viewer(ctx.actor)
    resource = await resources.get(ctx.db, viewer, request.resource_id)
    version = await versions.get(ctx.db, viewer, resource.id, request.version)
    start = uses.Position(resource.id, version.number)
    after = ctx.position(request.after, uses.Position) or start
    if (after.resource_id, after.number) != (start.resource_id, start.number):
        raise Refused(StaleCursor())
    found = await uses.of_version(ctx.db, resource, after, request.limit + 1)
    return ctx.page(found, limit=request.limit, key=_behind_use)


def _behind_use(used: catalog.Dependency) -> uses.Position:
    return uses.Position(
        used.resource_id, used.number, used.used_type, used.used_key, used.pinned, used.used_number
    )


@handlers.handles(catalog.ListDependents)
async def list_dependents(request: catalog.ListDependents, ctx: Context[Own]) -> Page[catalog.Dependency]:
    viewer = await ctx.own.grants.viewer(ctx.actor)
    await resources.get(ctx.db, viewer, request.resource_id)
    after = ctx.position(request.after, uses.UserPosition) or uses.UserPosition(request.resource_id)
    if after.used_id != request.resource_id:
        raise Refused(StaleCursor())
    found = await uses.of_users(ctx.db, viewer, after, request.limit + 1)
    return ctx.page(found, limit=request.limit, key=_behind_user)


def _behind_user(user: catalog.Dependency) -> uses.UserPosition:
    return uses.UserPosition(
        user.used_id, user.key, user.resource_id, user.number, user.pinned, user.used_number
    )


@handlers.handles(catalog.Deactivate)
async def deactivate(request: catalog.Deactivate, ctx: Context[Own]) -> None:
    viewer = await ctx.own.grants.viewer(ctx.actor)
    async with ctx.transaction() as tx:
        resource = await resources.lock(tx, viewer, request.resource_id)
        await activations.deactivate(
            tx, viewer, resource, request.environment, by=ctx.actor.principal_id, at=ctx.now()
        )
        return tx.answer(None)


@handlers.handles(catalog.ListActivations)
async def list_activations(request: catalog.ListActivations, ctx: Context[Own]) -> Page[catalog.Activation]:
    resource = await resources.get(ctx.db, await ctx.own.grants.viewer(ctx.actor), request.resource_id)
    after = ctx.position(request.after, activations.Position) or activations.Position(resource.id)
    if after.resource_id != resource.id:
        raise Refused(StaleCursor())
    found = await activations.page(ctx.db, resource, after.environment, request.limit + 1)
    return ctx.page(
        found, limit=request.limit, key=lambda a: activations.Position(resource.id, a.environment)
    )


@handlers.handles(catalog.ListMoves)
async def list_moves(request: catalog.ListMoves, ctx: Context[Own]) -> Page[catalog.Move]:
    resource = await resources.get(ctx.db, await ctx.own.grants.viewer(ctx.actor), request.resource_id)
    if resource.org_id != ctx.actor.org_id:
        raise Refused(catalog.ForeignResource(resource=str(resource.id)))
    start = activations.MovePosition(resource.id, request.environment)
    after = ctx.position(request.after, activations.MovePosition) or start
    if (after.resource_id, after.environment) != (start.resource_id, start.environment):
        raise Refused(StaleCursor())
    found = await activations.moves(ctx.db, resource, after, request.limit + 1)
    return ctx.page(
        found,
        limit=request.limit,
        key=lambda move: activations.MovePosition(resource.id, request.environment, move.change),
    )
