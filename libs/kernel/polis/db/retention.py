# ruff: noqa: S608 - the only names put into statements are checked ones
"""What the kernel's tables keep and for how long. Rows go in bounded statements, so that no lock is held for long."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from polis.db.database import Database

OUTBOX_H = 24
"""Hours that a published event can be published again after a loss of the stream."""
IDEMPOTENCY_H = 24
"""Hours that an idempotency key gives the same answer."""
INBOX_DAYS = 8
"""Longer than any stream keeps a message (7 days): it may deliver all of them again."""
BATCH = 1_000

_EXPIRED = {
    "outbox": f"""
        with old as (
            delete from :service.published where first_seq in (
                select first_seq from :service.published where at < now() - interval '{OUTBOX_H} hours'
                order by at limit greatest($1 / 500, 1)
            )
            returning ns
        )
        delete from :service.outbox where n in (select unnest(ns) from old)
    """,
    "inbox": f"""
        delete from :service.inbox where (consumer, event_id) in (
            select consumer, event_id from :service.inbox
            where at < now() - interval '{INBOX_DAYS} days' order by at limit $1
        )
    """,
    "idempotency": f"""
        delete from :service.idempotency where (org_id, principal_id, operation, key_hash) in (
            select org_id, principal_id, operation, key_hash from :service.idempotency
            where created_at < now() - interval '{IDEMPOTENCY_H} hours' order by created_at limit $1
        )
    """,
}


async def sweep(database: Database, *, batch: int = BATCH) -> dict[str, int]:
    """Delete all that is kept longer than it has to be; how many rows went from which table."""
    return {table: await _sweep(database, sql, batch) for table, sql in _EXPIRED.items()}


async def _sweep(database: Database, sql: str, batch: int) -> int:
    statement = sql.replace(":service", database.service)
    total = 0
    while True:
        async with database.across_orgs() as tx:
            deleted = await tx.execute(statement, batch)
        total += deleted
        if not deleted:
            return total
