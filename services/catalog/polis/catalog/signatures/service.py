"""Answers about publishers' keys and signatures."""

from __future__ import annotations

from polis.catalog.own import Own
from polis.catalog.resources import rows as resources
from polis.catalog.signatures import ed25519
from polis.catalog.signatures import rows as signatures
from polis.catalog.versions import rows as versions
from polis.proto import Page, Refused, catalog
from polis.proto.problems import StaleCursor
from polis.service import Context, Handlers

handlers = Handlers()


@handlers.handles(catalog.AddPublisherKey)
async def add_publisher_key(request: catalog.AddPublisherKey, ctx: Context[Own]) -> catalog.PublisherKey:
    me = ctx.actor.principal_id
    proof, public_key = ed25519.decoded(request.proof), ed25519.decoded(request.public_key)
    ed25519.demand(public_key, proof, ed25519.of_key(me))
    key = catalog.PublisherKey(ctx.new_id(), me, request.name, request.public_key, ctx.now())
    async with ctx.transaction() as tx:
        await signatures.add_key(tx, ctx.actor.org_id, key)
        return tx.answer(key)


@handlers.handles(catalog.ListPublisherKeys)
async def list_publisher_keys(
    request: catalog.ListPublisherKeys, ctx: Context[Own]
) -> Page[catalog.PublisherKey]:
    after = ctx.position(request.after, signatures.KeyPosition) or signatures.KeyPosition()
    found = await signatures.keys(ctx.db, ctx.actor.org_id, after, request.limit + 1)
    return ctx.page(found, limit=request.limit, key=lambda k: signatures.KeyPosition(k.created_at, k.id))


@handlers.handles(catalog.RevokePublisherKey)
async def revoke_publisher_key(request: catalog.RevokePublisherKey, ctx: Context[Own]) -> None:
    async with ctx.transaction() as tx:
        await signatures.revoke(tx, await ctx.own.grants.viewer(ctx.actor), request.key_id, ctx.now())
        return tx.answer(None)


@handlers.handles(catalog.SignVersion)
async def sign_version(request: catalog.SignVersion, ctx: Context[Own]) -> catalog.Signature:
    viewer = await ctx.own.grants.viewer(ctx.actor)
    async with ctx.transaction() as tx:
        resource = await resources.lock(tx, viewer, request.resource_id)
        version = await versions.get(tx, viewer, resource.id, request.version)
        public_key = await signatures.own_key(tx, viewer, request.key_id)
        ed25519.demand(public_key, ed25519.decoded(request.signature), ed25519.of_version(version))
        signature = catalog.Signature(
            resource.id,
            version.number,
            request.key_id,
            viewer.principal_id,
            ed25519.encoded(public_key),
            request.signature,
            ctx.now(),
        )
        return tx.answer(await signatures.sign(tx, resource, signature))


@handlers.handles(catalog.ListSignatures)
async def list_signatures(request: catalog.ListSignatures, ctx: Context[Own]) -> Page[catalog.Signature]:
    viewer = await ctx.own.grants.viewer(ctx.actor)
    resource = await resources.get(ctx.db, viewer, request.resource_id)
    version = await versions.get(ctx.db, viewer, resource.id, request.version)
    start = signatures.Position(resource.id, version.number)
    after = ctx.position(request.after, signatures.Position) or start
    if (after.resource_id, after.number) != (start.resource_id, start.number):
        raise Refused(StaleCursor())
    found = await signatures.page(ctx.db, resource, after, request.limit + 1)
    return ctx.page(
        found, limit=request.limit, key=lambda s: signatures.Position(s.resource_id, s.number, s.key_id)
    )
