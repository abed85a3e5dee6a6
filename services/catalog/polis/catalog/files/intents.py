"""Uploads about to be opened, for which identity may have set something aside: none of them counts for good unopened.

Kept before identity is asked and taken away by the transaction that opens the upload, so that whoever dies in between
leaves a row behind; and who was too slow finds none, and opens nothing.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.proto import Refused
from polis.proto.catalog import UploadSettled
from polis.proto.problems import DeadlineExceeded

if TYPE_CHECKING:
    from datetime import datetime

    from polis.db import Database, Deadline, Transaction

LAPSES_AFTER = timedelta(minutes=10)
"""Longer than any request lives, so that what it asks of identity has arrived there before it is settled."""
_BATCH = 100


class _Lapsed(Struct, frozen=True):
    org_id: UUID
    upload_id: UUID


async def keep(
    database: Database, org_id: UUID, upload_id: UUID, *, at: datetime, deadline: Deadline
) -> None:
    """Remember that something may be set aside for an upload."""
    async with database.transaction((org_id,), deadline=deadline) as tx:
        await tx.execute(
            "insert into catalog.intents (org_id, upload_id, lapses_at) values ($1, $2, $3)",
            org_id,
            upload_id,
            at + LAPSES_AFTER,
        )


async def take(tx: Transaction, org_id: UUID, upload_id: UUID) -> None:
    """The upload is opened by this transaction. Refused(DeadlineExceeded) when its intent has lapsed."""
    taken = await tx.execute(
        "delete from catalog.intents where org_id = $1 and upload_id = $2", org_id, upload_id
    )
    if not taken:
        raise Refused(DeadlineExceeded())


async def sweep(database: Database, at: datetime) -> int:
    """Settle some of those that had lapsed by then, of any org; how many."""
    async with database.across_orgs() as tx:
        lapsed = await tx.rows(
            _Lapsed,
            """
            delete from catalog.intents i using (
                select l.org_id, l.upload_id from catalog.intents l
                where l.lapses_at <= $1
                order by l.lapses_at limit $2 for update skip locked
            ) l
            where i.org_id = l.org_id and i.upload_id = l.upload_id
            returning i.org_id, i.upload_id
            """,
            at,
            _BATCH,
        )
        for intent in lapsed:
            await tx.emit(UploadSettled(intent.org_id, intent.upload_id, 0))
    return len(lapsed)
