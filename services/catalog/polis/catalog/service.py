"""The catalog answers for declarative resources, their immutable versions, and artifacts. It owns schema `catalog`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from polis.catalog import activations, artifacts, content, resources, uploads, versions
from polis.catalog.access import Viewer
from polis.catalog.blobs import BlobGone, Blobs, Rows
from polis.catalog.bootstrap import bootstrap, shipped
from polis.catalog.config import Config
from polis.catalog.quota import Quota
from polis.catalog.streams import Streams
from polis.proto import Page, Refused, catalog
from polis.proto.problems import StaleCursor
from polis.service import Context, Service
from polis.telemetry import log

if TYPE_CHECKING:
    from polis.db import Database, Tenant, Transaction
    from polis.service import Kernel

_HASHING = 2
"""Uploads that are checked at a time: each holds a connection for as long as its bytes take to read."""


class Own:
    """What the catalog holds while it runs."""

    def __init__(self, config: Config, database: Database) -> None:
        self.config = config
        self.database = database
        self.resources = resources.by_id(database)
        self.creations = resources.creations(database)
        self.blobs: Blobs = Rows()
        self.streams = Streams(config.downloads)
        self.hashing = asyncio.Semaphore(_HASHING)
        self.quota = Quota(config.org_bytes, config.open_uploads)
        self.upload_ttl = timedelta(seconds=config.upload_ttl_s)


@asynccontextmanager
async def open_own(config: Config, kernel: Kernel) -> AsyncIterator[Own]:
    own = Own(config, kernel.database)
    await bootstrap(kernel.database, shipped())
    kernel.tasks.start(sweep_expired(own), name="sweep")
    yield own


async def sweep_expired(own: Own) -> None:
    """Remove expired uploads for as long as the service runs."""
    while True:
        try:
            while await uploads.sweep(own.database, own.blobs, datetime.now(UTC)):
                pass
        except Refused as refusal:
            log.warning("sweep.postponed", problem=refusal.problem.type)
        await asyncio.sleep(own.config.sweep_every_s)


service = Service("catalog", settings=Config, open=open_own)


@service.handles(catalog.CreateResource)
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


@service.handles(catalog.ListResources)
async def list_resources(request: catalog.ListResources, ctx: Context[Own]) -> Page[catalog.Resource]:
    after = ctx.position(request.after, resources.Position) or resources.Position(request.type)
    if after.type != request.type:
        raise Refused(StaleCursor())
    found = await resources.page(ctx.db, Viewer.of(ctx.actor), after, request.limit + 1)
    return ctx.page(found, limit=request.limit, key=lambda r: resources.Position(request.type, r.key, r.id))


@service.handles(catalog.GetResource)
async def get_resource(request: catalog.GetResource, ctx: Context[Own]) -> catalog.Resource:
    viewer = Viewer.of(ctx.actor)
    wanted = (request.resource_id, viewer.principal_id, viewer.manages)
    resource = await ctx.own.resources.get(viewer.org_id, wanted, deadline=ctx.deadline)
    if resource is None:
        raise Refused(catalog.ResourceNotFound(resource=str(request.resource_id)))
    return resource


@service.handles(catalog.GetDraft)
async def get_draft(request: catalog.GetDraft, ctx: Context[Own]) -> catalog.Draft:
    return await resources.draft(ctx.db, Viewer.of(ctx.actor), request.resource_id)


@service.handles(catalog.PutDraft)
async def put_draft(request: catalog.PutDraft, ctx: Context[Own]) -> catalog.Draft:
    viewer = Viewer.of(ctx.actor)
    async with ctx.transaction() as tx:
        resource = await resources.lock(tx, viewer, request.resource_id)
        resources.demand_revision(resource, request.revision)
        draft = await content.written(resource.type, request.content)
        await content.check(tx, viewer, resource.type, resource.key, draft)
        revision = await resources.put_draft(tx, resource, draft.text, at=ctx.now())
        return tx.answer(catalog.Draft(resource.id, revision, draft.content))


@service.handles(catalog.PublishVersion)
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


@service.handles(catalog.ListVersions)
async def list_versions(request: catalog.ListVersions, ctx: Context[Own]) -> Page[catalog.VersionSummary]:
    after = ctx.position(request.after, versions.Position) or versions.Position(request.resource_id)
    if after.resource_id != request.resource_id:
        raise Refused(StaleCursor())
    resource = await resources.get(ctx.db, Viewer.of(ctx.actor), request.resource_id)
    found = await versions.page(ctx.db, resource, after.number, request.limit + 1)
    return ctx.page(found, limit=request.limit, key=lambda v: versions.Position(resource.id, v.number))


@service.handles(catalog.GetVersion)
async def get_version(request: catalog.GetVersion, ctx: Context[Own]) -> catalog.Version:
    return await versions.get(ctx.db, Viewer.of(ctx.actor), request.resource_id, request.version)


@service.handles(catalog.Activate)
async def activate(request: catalog.Activate, ctx: Context[Own]) -> catalog.Activation:
    async with ctx.transaction() as tx:
        resource = await resources.lock(tx, Viewer.of(ctx.actor), request.resource_id)
        activation = await activations.activate(
            tx, resource, request.environment, request.number, by=ctx.actor.principal_id, at=ctx.now()
        )
        return tx.answer(activation)


@service.handles(catalog.ResolveResource)
async def resolve_resource(request: catalog.ResolveResource, ctx: Context[Own]) -> catalog.Version:
    return await versions.resolve(
        ctx.db, Viewer.of(ctx.actor), request.type, request.key, request.environment
    )


@service.handles(catalog.CreateUpload)
async def create_upload(request: catalog.CreateUpload, ctx: Context[Own]) -> catalog.Upload:
    at = ctx.now()
    async with ctx.transaction() as tx:
        upload = uploads.Announced(
            org_id=ctx.actor.org_id,
            id=ctx.new_id(),
            created_by=ctx.actor.principal_id,
            name=request.name,
            media_type=request.media_type,
            size=request.size,
            sha256=request.sha256,
            created_at=at,
            expires_at=at + ctx.own.upload_ttl,
        )
        await uploads.create(tx, upload, ctx.own.quota)
        return tx.answer(catalog.Upload(upload.id, upload.part_bytes, upload.expires_at))


@service.handles(catalog.PutPart)
async def put_part(request: catalog.PutPart, ctx: Context[Own]) -> catalog.Part:
    async with ctx.transaction() as tx:
        part = await uploads.put_part(
            tx,
            ctx.own.blobs,
            request.upload_id,
            request.number,
            request.content,
            org_id=ctx.actor.org_id,
            by=ctx.actor.principal_id,
            at=ctx.now(),
        )
        return tx.answer(part)


@service.handles(catalog.CompleteUpload)
async def complete_upload(request: catalog.CompleteUpload, ctx: Context[Own]) -> catalog.Artifact:
    async with ctx.own.hashing, ctx.transaction() as tx:
        artifact = await uploads.complete(
            tx,
            ctx.own.blobs,
            request.upload_id,
            request.sha256,
            org_id=ctx.actor.org_id,
            by=ctx.actor.principal_id,
            at=ctx.now(),
        )
        return tx.answer(artifact)


@service.handles(catalog.CancelUpload)
async def cancel_upload(request: catalog.CancelUpload, ctx: Context[Own]) -> None:
    async with ctx.transaction() as tx:
        await uploads.cancel(
            tx,
            ctx.own.blobs,
            request.upload_id,
            org_id=ctx.actor.org_id,
            by=ctx.actor.principal_id,
            at=ctx.now(),
        )
        return tx.answer(None)


@service.handles(catalog.ListArtifacts)
async def list_artifacts(request: catalog.ListArtifacts, ctx: Context[Own]) -> Page[catalog.Artifact]:
    after = ctx.position(request.after, artifacts.Position) or artifacts.Position()
    found = await artifacts.page(ctx.db, ctx.actor.org_id, after, request.limit + 1)
    return ctx.page(found, limit=request.limit, key=lambda a: artifacts.Position(a.created_at, a.id))


@service.handles(catalog.GetArtifact)
async def get_artifact(request: catalog.GetArtifact, ctx: Context[Own]) -> catalog.Artifact:
    return await artifacts.get(ctx.db, ctx.actor.org_id, request.artifact_id)


@service.handles(catalog.DownloadArtifact)
async def download_artifact(request: catalog.DownloadArtifact, ctx: Context[Own]) -> AsyncIterator[bytes]:
    stored = await artifacts.stored(ctx.db, ctx.actor.org_id, request.artifact_id)
    # Not `ctx.db`: a slow reader may take longer than the deadline of the request that began the stream.
    db = ctx.own.database.tenant(ctx.actor.org_id)
    with ctx.own.streams.one(ctx.actor.org_id):
        try:
            async for part in ctx.own.blobs.read(db, ctx.actor.org_id, stored.blob_id, end=stored.parts):
                yield part
        except BlobGone:
            raise Refused(catalog.ArtifactNotFound(artifact_id=request.artifact_id)) from None


@service.handles(catalog.DeleteArtifact)
async def delete_artifact(request: catalog.DeleteArtifact, ctx: Context[Own]) -> None:
    async with ctx.transaction() as tx:
        await artifacts.delete(tx, ctx.own.blobs, ctx.actor.org_id, request.artifact_id)
        return tx.answer(None)
