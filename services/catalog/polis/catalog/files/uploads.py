"""Files on their way: announced, filled part by part in any order, checked as a whole, or swept away when they expire."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.catalog.access import Viewer
from polis.catalog.files import artifacts, contents, kinds, quota
from polis.proto import Refused
from polis.proto.catalog import (
    PART_BYTES,
    Artifact,
    ArtifactStored,
    Part,
    UploadIncomplete,
    UploadNotFound,
    UploadSettled,
    UploadState,
    Visibility,
)

if TYPE_CHECKING:
    from polis.catalog.files.blobs import Blobs
    from polis.db import Database, Tenant, Transaction

SWEEP_BATCH = 4
"""Expired uploads that one transaction removes: at most 400 MB of rows."""
_NAMED = 8
"""Missing parts that a refusal names."""
_TOLD = 200
"""Missing parts that are told to who goes on."""


class Announced(Struct, frozen=True):
    """An open upload, as it is stored. Its id becomes the artifact's."""

    org_id: UUID
    id: UUID
    created_by: UUID
    name: str
    media_type: str
    size: int
    sha256: str | None
    created_at: datetime
    expires_at: datetime
    part_bytes: int = PART_BYTES
    visibility: Visibility = "org"
    metered: bool = False
    key_id: UUID | None = None

    @property
    def parts(self) -> int:
        return -(-self.size // self.part_bytes)

    def part_size(self, number: int) -> int:
        """Bytes of a part; 0 for one that the file does not have."""
        return max(0, min(self.part_bytes, self.size - number * self.part_bytes))


class _Expired(Struct, frozen=True):
    org_id: UUID
    id: UUID
    size: int
    metered: bool


async def create(tx: Transaction, upload: Announced, limits: quota.Quota) -> None:
    """Announce a file and reserve its bytes. Refused(QuotaExceeded)."""
    await quota.reserve(tx, upload.org_id, upload.size, limits)
    await tx.execute(
        """
        insert into catalog.uploads (org_id, id, created_by, name, media_type, size, sha256, part_bytes, created_at,
            expires_at, visibility, metered, key_id)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
        """,
        upload.org_id,
        upload.id,
        upload.created_by,
        upload.name,
        upload.media_type,
        upload.size,
        upload.sha256,
        upload.part_bytes,
        upload.created_at,
        upload.expires_at,
        upload.visibility,
        upload.metered,
        upload.key_id,
    )


async def put_part(
    tx: Transaction,
    blobs: Blobs,
    upload_id: UUID,
    number: int,
    content: bytes,
    *,
    org_id: UUID,
    by: UUID,
    at: datetime,
) -> Part:
    """Store a part of the caller's open upload, replacing one of this number. Refused(UploadNotFound), UploadIncomplete."""
    # `for key share` lets parts of one upload arrive side by side and keeps the completion and the sweep out.
    upload = await tx.row(
        Announced,
        """
        select u.org_id, u.id, u.created_by, u.name, u.media_type, u.size, u.sha256, u.created_at, u.expires_at,
            u.part_bytes, u.visibility, u.metered, u.key_id
        from catalog.uploads u
        where u.org_id = $1 and u.id = $2 and u.created_by = $3 and u.expires_at > $4
        for key share
        """,
        org_id,
        upload_id,
        by,
        at,
    )
    if upload is None:
        raise Refused(UploadNotFound(upload_id=upload_id))
    _demand_size(upload, number, len(content))
    await blobs.put(tx, org_id, upload_id, number, content)
    await tx.execute(
        """
        insert into catalog.parts (org_id, upload_id, number, size) values ($1, $2, $3, $4)
        on conflict (org_id, upload_id, number) do nothing
        """,
        org_id,
        upload_id,
        number,
        len(content),
    )
    return Part(number, len(content))


def _demand_size(upload: Announced, number: int, size: int) -> None:
    expected = upload.part_size(number)
    if not expected:
        raise Refused(UploadIncomplete(reason=f"a file of {upload.size} bytes has no part {number}"))
    if size != expected:
        raise Refused(UploadIncomplete(reason=f"part {number} has {expected} bytes, not {size}"))


async def complete(
    tx: Transaction,
    blobs: Blobs,
    upload_id: UUID,
    sha256: str | None,
    *,
    org_id: UUID,
    by: UUID,
    at: datetime,
) -> Artifact:
    """Make an artifact of the caller's upload; of a completed one, the artifact again.

    Refused(UploadNotFound), or UploadIncomplete while parts are missing or the bytes are not the announced ones.
    """
    upload = await _lock(tx, upload_id, org_id=org_id, by=by, at=at)
    if upload is None:
        return await _completed(tx, upload_id, sha256, org_id=org_id, by=by)
    await _demand_parts(tx, upload)
    digest, found_type = await _read(tx, blobs, upload)
    for announced in (sha256, upload.sha256):
        _demand_digest(digest, announced)
    artifact = Artifact(
        upload.id, org_id, upload.name, upload.media_type, upload.size, digest, by, at, upload.visibility,
        found_type,
    )  # fmt: skip
    kept = await contents.keep(
        tx, blobs, org_id, upload.id, sha256=digest, size=upload.size, part_bytes=upload.part_bytes
    )
    if upload.metered:
        await _settle(tx, upload, kept)
    await artifacts.insert(tx, artifact, blob_id=kept.id, part_bytes=kept.part_bytes)
    await tx.execute("delete from catalog.uploads where org_id = $1 and id = $2", org_id, upload.id)
    await quota.release(tx, org_id, uploads=1)
    await tx.emit(ArtifactStored(org_id, artifact.id, artifact.name, artifact.size, artifact.sha256))
    return artifact


async def _settle(tx: Transaction, upload: Announced, kept: contents.Content) -> None:
    """Count the bytes against the quotas, unless the org had the content already."""
    used = 0
    if kept.id == upload.id:
        used = upload.size
        await contents.count_for(tx, upload.org_id, kept.id, upload.created_by, upload.key_id)
    await tx.emit(UploadSettled(upload.org_id, upload.id, used))


async def cancel(
    tx: Transaction, blobs: Blobs, upload_id: UUID, *, org_id: UUID, by: UUID, at: datetime
) -> None:
    """Remove the caller's open upload with its parts. Refused(UploadNotFound)."""
    upload = await _lock(tx, upload_id, org_id=org_id, by=by, at=at)
    if upload is None:
        raise Refused(UploadNotFound(upload_id=upload_id))
    await blobs.delete(tx, org_id, [upload_id])
    await tx.execute("delete from catalog.uploads where org_id = $1 and id = $2", org_id, upload_id)
    await quota.release(tx, org_id, size=upload.size, uploads=1)
    if upload.metered:
        await tx.emit(UploadSettled(org_id, upload_id, 0))


async def _lock(
    tx: Transaction, upload_id: UUID, *, org_id: UUID, by: UUID, at: datetime
) -> Announced | None:
    return await tx.row(
        Announced,
        """
        select u.org_id, u.id, u.created_by, u.name, u.media_type, u.size, u.sha256, u.created_at, u.expires_at,
            u.part_bytes, u.visibility, u.metered, u.key_id
        from catalog.uploads u
        where u.org_id = $1 and u.id = $2 and u.created_by = $3 and u.expires_at > $4
        for update
        """,
        org_id,
        upload_id,
        by,
        at,
    )


async def _completed(
    tx: Transaction, upload_id: UUID, sha256: str | None, *, org_id: UUID, by: UUID
) -> Artifact:
    artifact = await artifacts.find(tx, Viewer(org_id, by, manages=False), upload_id)
    if artifact is None or artifact.created_by != by:
        raise Refused(UploadNotFound(upload_id=upload_id))
    _demand_digest(artifact.sha256, sha256)
    return artifact


async def state(db: Tenant, upload_id: UUID, *, org_id: UUID, by: UUID, at: datetime) -> UploadState:
    """How far the caller's open upload has come. Refused(UploadNotFound)."""
    upload = await db.row(
        Announced,
        """
        select u.org_id, u.id, u.created_by, u.name, u.media_type, u.size, u.sha256, u.created_at, u.expires_at,
            u.part_bytes, u.visibility, u.metered, u.key_id
        from catalog.uploads u
        where u.org_id = $1 and u.id = $2 and u.created_by = $3 and u.expires_at > $4
        """,
        org_id,
        upload_id,
        by,
        at,
    )
    if upload is None:
        raise Refused(UploadNotFound(upload_id=upload_id))
    missing = await _missing(db, upload, _TOLD)
    return UploadState(
        upload.id, upload.size, upload.part_bytes, upload.parts, tuple(missing), upload.expires_at
    )


async def _demand_parts(tx: Transaction, upload: Announced) -> None:
    missing = await _missing(tx, upload, _NAMED)
    if missing:
        more = " and more" if len(missing) == _NAMED else ""
        raise Refused(UploadIncomplete(reason=f"parts are missing: {', '.join(map(str, missing))}{more}"))


async def _missing(db: Tenant | Transaction, upload: Announced, limit: int) -> list[int]:
    return await db.rows(
        int,
        """
        select n.number from generate_series(0, $3::integer - 1) as n(number)
        where not exists (
            select from catalog.parts p where p.org_id = $1 and p.upload_id = $2 and p.number = n.number
        )
        order by n.number limit $4
        """,
        upload.org_id,
        upload.id,
        upload.parts,
        limit,
    )


async def _read(tx: Transaction, blobs: Blobs, upload: Announced) -> tuple[str, str | None]:
    """SHA-256 of the parts in order, one in memory at a time, hashed off the loop; and what they are by their first bytes."""
    digest = hashlib.sha256()
    head = b""
    async for content in blobs.read(tx, upload.org_id, upload.id, end=upload.parts):
        head = head or content[: kinds.HEAD_BYTES]
        await asyncio.to_thread(digest.update, content)
    return digest.hexdigest(), kinds.kind_of(head)


def _demand_digest(actual: str, announced: str | None) -> None:
    if announced is not None and announced != actual:
        raise Refused(UploadIncomplete(reason=f"the SHA-256 of the parts is {actual}, not {announced}"))


async def sweep(database: Database, blobs: Blobs, at: datetime) -> int:
    """Remove some of the uploads that had expired by then, of any org; how many. Those at work are passed over."""
    async with database.across_orgs() as tx:
        expired = await tx.rows(
            _Expired,
            """
            delete from catalog.uploads u using (
                select e.org_id, e.id from catalog.uploads e
                where e.expires_at <= $1
                order by e.expires_at limit $2 for update skip locked
            ) e
            where u.org_id = e.org_id and u.id = e.id
            returning u.org_id, u.id, u.size, u.metered
            """,
            at,
            SWEEP_BATCH,
        )
        # In the order of orgs: two sweeps that lock the same two counters in different orders would wait for each other.
        for upload in sorted(expired, key=lambda upload: upload.org_id):
            await blobs.delete(tx, upload.org_id, [upload.id])
            await quota.release(tx, upload.org_id, size=upload.size, uploads=1)
            if upload.metered:
                await tx.emit(UploadSettled(upload.org_id, upload.id, 0))
    return len(expired)
