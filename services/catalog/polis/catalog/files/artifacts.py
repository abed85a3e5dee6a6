"""Rows of artifacts: what is known of the files that an org has stored."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.catalog.files import contents, quota
from polis.proto import Refused
from polis.proto.catalog import Artifact, ArtifactDeleted, ArtifactNotFound

if TYPE_CHECKING:
    from polis.catalog.access import Viewer
    from polis.catalog.files.blobs import Blobs
    from polis.db import Tenant, Transaction
    from polis.proto.catalog import Visibility


class Position(Struct, frozen=True):
    """Where a list of artifacts continues: behind the last item. The default lies before all."""

    created_at: datetime = datetime.max.replace(tzinfo=UTC)
    id: UUID = UUID(int=2**128 - 1)


class Stored(Struct, frozen=True):
    """Where the bytes of an artifact lie."""

    org_id: UUID
    blob_id: UUID
    size: int
    part_bytes: int


async def insert(tx: Transaction, artifact: Artifact, *, blob_id: UUID, part_bytes: int) -> None:
    await tx.execute(
        """
        insert into catalog.artifacts (org_id, id, blob_id, part_bytes, name, media_type, size, sha256, created_by,
            created_at, visibility, found_type)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        """,
        artifact.org_id,
        artifact.id,
        blob_id,
        part_bytes,
        artifact.name,
        artifact.media_type,
        artifact.size,
        artifact.sha256,
        artifact.created_by,
        artifact.created_at,
        artifact.visibility,
        artifact.found_type,
    )


async def find(db: Tenant | Transaction, viewer: Viewer, artifact_id: UUID) -> Artifact | None:
    """A file that the viewer may see, of the org or public."""
    return await db.row(
        Artifact,
        """
        select a.id, a.org_id, a.name, a.media_type, a.size, a.sha256, a.created_by, a.created_at, a.visibility,
            a.found_type
        from catalog.artifacts a
        where a.id = $2
            and (a.org_id = $1 or a.visibility = 'public') and (a.visibility <> 'private' or a.created_by = $3 or 'artifact/' || a.id ~ $4::text)
        """,
        viewer.org_id,
        artifact_id,
        viewer.principal_id,
        viewer.opens,
    )


async def get(db: Tenant | Transaction, viewer: Viewer, artifact_id: UUID) -> Artifact:
    """A file that the viewer may see. Refused(ArtifactNotFound)."""
    artifact = await find(db, viewer, artifact_id)
    if artifact is None:
        raise Refused(ArtifactNotFound(artifact_id=artifact_id))
    return artifact


async def stored(db: Tenant, viewer: Viewer, artifact_id: UUID) -> Stored:
    """Where the bytes of a file lie that the viewer may see. Refused(ArtifactNotFound)."""
    found = await db.row(
        Stored,
        """
        select a.org_id, a.blob_id, a.size, a.part_bytes from catalog.artifacts a
        where a.id = $2
            and (a.org_id = $1 or a.visibility = 'public') and (a.visibility <> 'private' or a.created_by = $3 or 'artifact/' || a.id ~ $4::text)
        """,
        viewer.org_id,
        artifact_id,
        viewer.principal_id,
        viewer.opens,
    )
    if found is None:
        raise Refused(ArtifactNotFound(artifact_id=artifact_id))
    return found


async def page(db: Tenant, viewer: Viewer, after: Position, limit: int) -> list[Artifact]:
    """Up to `limit` files of the org behind a position, newest first."""
    return await db.rows(
        Artifact,
        """
        select a.id, a.org_id, a.name, a.media_type, a.size, a.sha256, a.created_by, a.created_at, a.visibility,
            a.found_type
        from catalog.artifacts a
        where a.org_id = $1 and (a.visibility <> 'private' or a.created_by = $5 or 'artifact/' || a.id ~ $6::text)
            and (a.created_at, a.id) < ($2, $3)
        order by a.created_at desc, a.id desc limit $4
        """,
        viewer.org_id,
        after.created_at,
        after.id,
        limit,
        viewer.principal_id,
        viewer.opens,
    )


async def show(tx: Transaction, viewer: Viewer, artifact_id: UUID, visibility: Visibility) -> Artifact:
    """Say who sees a file of the org. Refused(ArtifactNotFound) or Forbidden."""
    artifact = await get(tx, viewer, artifact_id)
    if artifact.org_id != viewer.org_id:
        raise Refused(ArtifactNotFound(artifact_id=artifact_id))
    if artifact.visibility != visibility:
        viewer.demand_showing(artifact.created_by, visibility)
    await tx.execute(
        "update catalog.artifacts set visibility = $3 where org_id = $1 and id = $2",
        artifact.org_id,
        artifact.id,
        visibility,
    )
    return msgspec.structs.replace(artifact, visibility=visibility)


async def delete(tx: Transaction, blobs: Blobs, viewer: Viewer, artifact_id: UUID) -> None:
    """Delete a file of the org that the viewer may see. Refused(ArtifactNotFound)."""
    gone = await tx.row(
        Stored,
        """
        delete from catalog.artifacts a
        where a.org_id = $1 and a.id = $2 and (a.visibility <> 'private' or a.created_by = $3 or 'artifact/' || a.id ~ $4::text)
        returning a.org_id, a.blob_id, a.size, a.part_bytes
        """,
        viewer.org_id,
        artifact_id,
        viewer.principal_id,
        viewer.opens_writing,
    )
    if gone is None:
        raise Refused(ArtifactNotFound(artifact_id=artifact_id))
    await contents.drop(tx, blobs, viewer.org_id, gone.blob_id)
    await quota.release(tx, viewer.org_id, size=gone.size)
    await tx.emit(ArtifactDeleted(viewer.org_id, artifact_id))
