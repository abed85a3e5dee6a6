"""Contents that artifacts of one org share: counted, so that the last artifact takes the bytes along."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.proto.catalog import StorageFreed

if TYPE_CHECKING:
    from polis.catalog.files.blobs import Blobs
    from polis.db import Transaction


class Content(Struct, frozen=True):
    """Where the bytes of a content lie, in parts of this size."""

    id: UUID
    part_bytes: int


class _Gone(Struct, frozen=True):
    size: int
    counted_for: UUID | None
    counted_key: UUID | None


async def keep(
    tx: Transaction, blobs: Blobs, org_id: UUID, blob_id: UUID, *, sha256: str, size: int, part_bytes: int
) -> Content:
    """Count one more artifact of a content; where the org has it already, what came in is dropped for that."""
    kept = await tx.row(
        Content,
        """
        insert into catalog.blobs as b (org_id, id, sha256, size, part_bytes, refs)
        values ($1, $2, $3, $4, $5, 1)
        on conflict (org_id, sha256, size) do update set refs = b.refs + 1
        returning b.id, b.part_bytes
        """,
        org_id,
        blob_id,
        sha256,
        size,
        part_bytes,
    )
    if kept is None:
        raise LookupError(f"content {sha256} was neither stored nor found")
    if kept.id != blob_id:
        await blobs.delete(tx, org_id, [blob_id])
    return kept


async def count_for(
    tx: Transaction, org_id: UUID, blob_id: UUID, principal_id: UUID, key_id: UUID | None
) -> None:
    """Note whose use of quotas the bytes are, so that theirs is the room when they go."""
    await tx.execute(
        "update catalog.blobs set counted_for = $3, counted_key = $4 where org_id = $1 and id = $2",
        org_id,
        blob_id,
        principal_id,
        key_id,
    )


async def drop(tx: Transaction, blobs: Blobs, org_id: UUID, blob_id: UUID) -> None:
    """Count one artifact less; with the last one the bytes go."""
    left = await tx.value(
        "update catalog.blobs set refs = refs - 1 where org_id = $1 and id = $2 returning refs",
        org_id,
        blob_id,
    )
    if left == 0:
        gone = await tx.row(
            _Gone,
            "delete from catalog.blobs where org_id = $1 and id = $2 returning size, counted_for, counted_key",
            org_id,
            blob_id,
        )
        await blobs.delete(tx, org_id, [blob_id])
        if gone is not None and gone.counted_for is not None:
            await tx.emit(StorageFreed(org_id, blob_id, gone.size, gone.counted_for, gone.counted_key))
