"""How much an org holds: reserved before the first byte, released with the last."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.proto import Refused
from polis.proto.catalog import QuotaExceeded

if TYPE_CHECKING:
    from polis.db import Transaction


class Quota(Struct, frozen=True):
    """What an org may hold at a time."""

    stored_bytes: int
    open_uploads: int


class _Used(Struct, frozen=True):
    stored_bytes: int
    open_uploads: int


async def reserve(tx: Transaction, org_id: UUID, size: int, quota: Quota) -> None:
    """Count one more open upload of this size. Refused(QuotaExceeded), whatever else is announced at this moment."""
    await tx.execute(
        """
        insert into catalog.storage (org_id, stored_bytes, open_uploads) values ($1, 0, 0)
        on conflict (org_id) do nothing
        """,
        org_id,
    )
    reserved = await tx.execute(
        """
        update catalog.storage set stored_bytes = stored_bytes + $2, open_uploads = open_uploads + 1
        where org_id = $1 and stored_bytes + $2 <= $3 and open_uploads < $4
        """,
        org_id,
        size,
        quota.stored_bytes,
        quota.open_uploads,
    )
    if not reserved:
        raise Refused(await _exceeded(tx, org_id, quota))


async def release(tx: Transaction, org_id: UUID, *, size: int = 0, uploads: int = 0) -> None:
    """Count bytes and open uploads no more."""
    await tx.execute(
        """
        update catalog.storage set stored_bytes = stored_bytes - $2, open_uploads = open_uploads - $3
        where org_id = $1
        """,
        org_id,
        size,
        uploads,
    )


async def _exceeded(tx: Transaction, org_id: UUID, quota: Quota) -> QuotaExceeded:
    used = await tx.row(
        _Used, "select s.stored_bytes, s.open_uploads from catalog.storage s where s.org_id = $1", org_id
    )
    if used is not None and used.open_uploads >= quota.open_uploads:
        return QuotaExceeded(quota="open_uploads", limit=quota.open_uploads, used=used.open_uploads)
    return QuotaExceeded(
        quota="stored_bytes", limit=quota.stored_bytes, used=used.stored_bytes if used is not None else 0
    )
