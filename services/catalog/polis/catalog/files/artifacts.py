"""Rows of artifacts: what is known of the files that an org has stored."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.catalog.files import quota
from polis.proto import Refused
from polis.proto.catalog import Artifact, ArtifactDeleted, ArtifactNotFound

if TYPE_CHECKING:
    from polis.catalog.files.blobs import Blobs
    from polis.db import Tenant, Transaction


class Position(Struct, frozen=True):
    """Where a list of artifacts continues: behind the last item. The default lies before all."""

    created_at: datetime = datetime.max.replace(tzinfo=UTC)
    id: UUID = UUID(int=2**128 - 1)


class Stored(Struct, frozen=True):
    """Where the bytes of an artifact lie."""

    blob_id: UUID
    size: int
    part_bytes: int

    @property
    def parts(self) -> int:
        return -(-self.size // self.part_bytes)


async def insert(tx: Transaction, artifact: Artifact, *, blob_id: UUID, part_bytes: int) -> None:
    await tx.execute(
        """
        insert into catalog.artifacts (org_id, id, blob_id, part_bytes, name, media_type, size, sha256, created_by,
            created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
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
    )


async def find(db: Tenant | Transaction, org_id: UUID, artifact_id: UUID) -> Artifact | None:
    return await db.row(
        Artifact,
        """
        select a.id, a.org_id, a.name, a.media_type, a.size, a.sha256, a.created_by, a.created_at
        from catalog.artifacts a
        where a.org_id = $1 and a.id = $2
        """,
        org_id,
        artifact_id,
    )


async def get(db: Tenant, org_id: UUID, artifact_id: UUID) -> Artifact:
    """A file of the org. Refused(ArtifactNotFound)."""
    artifact = await find(db, org_id, artifact_id)
    if artifact is None:
        raise Refused(ArtifactNotFound(artifact_id=artifact_id))
    return artifact


async def stored(db: Tenant, org_id: UUID, artifact_id: UUID) -> Stored:
    """Where a file's bytes lie. Refused(ArtifactNotFound)."""
    found = await db.row(
        Stored,
        "select a.blob_id, a.size, a.part_bytes from catalog.artifacts a where a.org_id = $1 and a.id = $2",
        org_id,
        artifact_id,
    )
    if found is None:
        raise Refused(ArtifactNotFound(artifact_id=artifact_id))
    return found


async def page(db: Tenant, org_id: UUID, after: Position, limit: int) -> list[Artifact]:
    """Up to `limit` files behind a position, newest first."""
    return await db.rows(
        Artifact,
        """
        select a.id, a.org_id, a.name, a.media_type, a.size, a.sha256, a.created_by, a.created_at
        from catalog.artifacts a
        where a.org_id = $1 and (a.created_at, a.id) < ($2, $3)
        order by a.created_at desc, a.id desc limit $4
        """,
        org_id,
        after.created_at,
        after.id,
        limit,
    )


async def delete(tx: Transaction, blobs: Blobs, org_id: UUID, artifact_id: UUID) -> None:
    """Delete a file with its bytes. Refused(ArtifactNotFound)."""
    gone = await tx.row(
        Stored,
        "delete from catalog.artifacts a where a.org_id = $1 and a.id = $2 returning a.blob_id, a.size, a.part_bytes",
        org_id,
        artifact_id,
    )
    if gone is None:
        raise Refused(ArtifactNotFound(artifact_id=artifact_id))
    await blobs.delete(tx, org_id, [gone.blob_id])
    await quota.release(tx, org_id, size=gone.size)
    await tx.emit(ArtifactDeleted(org_id, artifact_id))
