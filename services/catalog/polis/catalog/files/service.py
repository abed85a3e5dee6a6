"""Answers about artifacts and their uploads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

from polis.catalog.files import artifacts, intents, ranges, sent, uploads
from polis.catalog.files.blobs import BlobGone
from polis.catalog.own import Own
from polis.proto import Page, Refused, catalog, identity
from polis.service import Context, EventContext, Handlers

handlers = Handlers()
_TO_SETTLE_S = 86_400
"""What a quota set aside for an upload stays for so much longer than the upload: until its end has been told."""


@handlers.handles(catalog.CreateUpload)
async def create_upload(request: catalog.CreateUpload, ctx: Context[Own]) -> catalog.Upload:
    at = ctx.now()
    (await ctx.own.grants.viewer(ctx.actor)).demand_visibility(request.visibility)
    upload_id = ctx.new_id()
    aside = ctx.own.metered.set_aside(
        request.size,
        actor=ctx.actor,
        reservation_id=upload_id,
        deadline=ctx.deadline,
        ttl_s=int(ctx.own.upload_ttl.total_seconds()) + _TO_SETTLE_S,
        before=partial(
            intents.keep, ctx.own.database, ctx.actor.org_id, upload_id, at=at, deadline=ctx.deadline
        ),
    )
    async with aside as held, ctx.transaction() as tx:
        held.demand()
        if held.metered:
            await intents.take(tx, ctx.actor.org_id, upload_id)
        upload = uploads.Announced(
            org_id=ctx.actor.org_id,
            id=upload_id,
            created_by=ctx.actor.principal_id,
            name=request.name,
            media_type=request.media_type,
            size=request.size,
            sha256=request.sha256,
            created_at=at,
            expires_at=at + ctx.own.upload_ttl,
            visibility=request.visibility,
            metered=held.metered,
            key_id=ctx.actor.key_id,
        )
        await uploads.create(tx, upload, ctx.own.quota)
        return tx.answer(catalog.Upload(upload.id, upload.part_bytes, upload.expires_at))


@handlers.handles(catalog.PutPart)
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


@handlers.handles(catalog.GetUpload)
async def get_upload(request: catalog.GetUpload, ctx: Context[Own]) -> catalog.UploadState:
    return await uploads.state(
        ctx.db, request.upload_id, org_id=ctx.actor.org_id, by=ctx.actor.principal_id, at=ctx.now()
    )


@handlers.handles(catalog.CompleteUpload)
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


@handlers.handles(catalog.CancelUpload)
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


@handlers.handles(catalog.ListArtifacts)
async def list_artifacts(request: catalog.ListArtifacts, ctx: Context[Own]) -> Page[catalog.Artifact]:
    after = ctx.position(request.after, artifacts.Position) or artifacts.Position()
    found = await artifacts.page(ctx.db, await ctx.own.grants.viewer(ctx.actor), after, request.limit + 1)
    return ctx.page(found, limit=request.limit, key=lambda a: artifacts.Position(a.created_at, a.id))


@handlers.handles(catalog.GetArtifact)
async def get_artifact(request: catalog.GetArtifact, ctx: Context[Own]) -> catalog.Artifact:
    viewer = await ctx.own.grants.viewer(ctx.actor)
    found = await artifacts.find(ctx.db, viewer, request.artifact_id)
    if found is None:
        viewer = await sent.opened(ctx, viewer, request.artifact_id)
        found = await artifacts.get(ctx.db, viewer, request.artifact_id)
    return found


@handlers.handles(catalog.DownloadArtifact)
async def download_artifact(request: catalog.DownloadArtifact, ctx: Context[Own]) -> AsyncIterator[bytes]:
    viewer = await sent.opened(ctx, await ctx.own.grants.viewer(ctx.actor), request.artifact_id)
    stored = await artifacts.stored(ctx.db, viewer, request.artifact_id)
    # Not `ctx.db`: a slow reader may take longer than the deadline of the request that began the stream.
    # In the org that the file belongs to: a public one is read by others too.
    db = ctx.own.database.tenant(stored.org_id)
    wanted = ranges.of(stored, request.offset, request.length)
    with ctx.own.streams.one(ctx.actor.org_id):
        parts = ctx.own.blobs.read(db, stored.org_id, stored.blob_id, first=wanted.first, end=wanted.end)
        try:
            async for part in wanted.cut(parts):
                yield part
        except BlobGone:
            raise Refused(catalog.ArtifactNotFound(artifact_id=request.artifact_id)) from None


@handlers.handles(catalog.DeleteArtifact)
async def delete_artifact(request: catalog.DeleteArtifact, ctx: Context[Own]) -> None:
    async with ctx.transaction() as tx:
        await artifacts.delete(tx, ctx.own.blobs, await ctx.own.grants.viewer(ctx.actor), request.artifact_id)
        return tx.answer(None)


@handlers.handles(catalog.ChangeArtifact)
async def change_artifact(request: catalog.ChangeArtifact, ctx: Context[Own]) -> catalog.Artifact:
    async with ctx.transaction() as tx:
        changed = await artifacts.show(
            tx, await ctx.own.grants.viewer(ctx.actor), request.artifact_id, request.visibility
        )
        return tx.answer(changed)


@handlers.on(identity.QuotaSet)
async def keep_quota(event: identity.QuotaSet, ctx: EventContext[Own]) -> None:
    await ctx.own.metered.bounded.keep(ctx.tx, event)


@handlers.on(identity.QuotaRemoved)
async def drop_quota(event: identity.QuotaRemoved, ctx: EventContext[Own]) -> None:
    await ctx.own.metered.bounded.drop(ctx.tx, event)
