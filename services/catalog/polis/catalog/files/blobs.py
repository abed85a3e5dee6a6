"""Where the bytes of files lie. The rest of the catalog knows blobs by their id and parts by their number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from polis.db import Tenant, Transaction


class BlobGone(Exception):
    """A part is not there any more: its blob was deleted while it was read."""


class Blobs(Protocol):
    """Parts of blobs, numbered from 0. An implementation is one class like `Rows`; S3 would be another.

    put: store a part, replacing what has its number. It counts only when `tx` commits.
    read: the parts from `first` up to `end` (not included) in order, one at a time in memory. Raises BlobGone.
    delete: forget blobs when `tx` commits; bytes may go later, they are not found from then on.
    """

    async def put(
        self, tx: Transaction, org_id: UUID, blob_id: UUID, number: int, content: bytes
    ) -> None: ...

    def read(
        self, db: Tenant | Transaction, org_id: UUID, blob_id: UUID, *, first: int = 0, end: int
    ) -> AsyncIterator[bytes]: ...

    async def delete(self, tx: Transaction, org_id: UUID, blob_ids: list[UUID]) -> None: ...


class Rows:
    """Blobs as rows of PostgreSQL: one commit point, one backup and one tenancy for a file and what is known of it."""

    async def put(self, tx: Transaction, org_id: UUID, blob_id: UUID, number: int, content: bytes) -> None:
        await tx.execute(
            """
            insert into catalog.chunks (org_id, blob_id, number, content) values ($1, $2, $3, $4)
            on conflict (org_id, blob_id, number) do update set content = excluded.content
            """,
            org_id,
            blob_id,
            number,
            content,
        )

    async def read(
        self, db: Tenant | Transaction, org_id: UUID, blob_id: UUID, *, first: int = 0, end: int
    ) -> AsyncIterator[bytes]:
        for number in range(first, end):
            content = await db.value(
                "select c.content from catalog.chunks c where c.org_id = $1 and c.blob_id = $2 and c.number = $3",
                org_id,
                blob_id,
                number,
            )
            if not isinstance(content, bytes):
                raise BlobGone(f"part {number} of {blob_id}")
            yield content

    async def delete(self, tx: Transaction, org_id: UUID, blob_ids: list[UUID]) -> None:
        await tx.execute(
            "delete from catalog.chunks c where c.org_id = $1 and c.blob_id = any($2::uuid[])",
            org_id,
            blob_ids,
        )
