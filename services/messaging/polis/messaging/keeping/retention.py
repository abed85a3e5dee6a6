"""What is kept for how long. Rows go in bounded statements; a conversation's numbers go on as if nothing had gone."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

if TYPE_CHECKING:
    from datetime import datetime

    from polis.db import Database

_BATCH = 1_000


class _Due(Struct, frozen=True):
    org_id: UUID
    id: UUID
    upto: int


async def sweep(database: Database, now: datetime, default_days: int) -> int:
    """Delete what is older than its conversation keeps it; of how many conversations something went."""
    due = await _due(database, now, default_days)
    for each in due:
        await _forget(database, each)
    return len(due)


async def _due(database: Database, now: datetime, default_days: int) -> list[_Due]:
    """Conversations with a message that is too old, or was left by a sweep that failed, and the last before the first that is not."""
    async with database.across_orgs() as tx:
        return await tx.rows(
            _Due,
            """
            select c.org_id, c.id, coalesce(young.seq - 1, c.head_seq) as upto
            from messaging.conversations c
            cross join lateral (select $1::timestamptz - make_interval(days => coalesce(c.retention_days, $2)) as at) old
            left join lateral (
                select m.seq from messaging.messages m
                where m.org_id = c.org_id and m.conversation_id = c.id and m.seq >= c.kept_from and m.sent_at >= old.at
                order by m.seq limit 1
            ) young on true
            -- `exists` could be answered by going through all messages.
            where coalesce(c.retention_days, $2) > 0 and (
                select true from messaging.messages m
                where m.org_id = c.org_id and m.conversation_id = c.id and m.seq <= coalesce(young.seq - 1, c.head_seq)
                limit 1
            )
            order by c.org_id, c.id limit 1000
            """,
            now,
            default_days,
        )


async def _forget(database: Database, due: _Due) -> None:
    """Nobody is told of what is about to go before it goes: from the first statement on, cursors from there do not continue."""
    async with database.across_orgs() as tx:
        await tx.execute(
            "update messaging.conversations set kept_from = greatest(kept_from, $3) where org_id = $1 and id = $2",
            due.org_id,
            due.id,
            due.upto + 1,
        )
        # The passage that goes on behind what goes.
        await tx.execute("select messaging.reword($1, $2, $3)", due.org_id, due.id, due.upto + 1)
    for statement in _DELETIONS:
        # Of one message there may be several rows, which go together.
        while await _some(database, statement, due) >= _BATCH:
            pass


async def _some(database: Database, statement: str, due: _Due) -> int:
    async with database.across_orgs() as tx:
        return await tx.execute(statement, due.org_id, due.id, due.upto, _BATCH)


_TABLES = ("passages", "files", "revisions", "asked", "turn_claims", "turns", "entries", "messages")
_BY_NUMBER = tuple(
    f"""
    delete from messaging.{table} where org_id = $1 and conversation_id = $2 and seq in (
        select t.seq from messaging.{table} t
        where t.org_id = $1 and t.conversation_id = $2 and t.seq <= $3 order by t.seq limit $4
    )
    """  # noqa: S608 - constants
    for table in _TABLES
)
_HANDOFFS = """
    delete from messaging.handoffs where org_id = $1 and id in (
        select h.id from messaging.handoffs h
        where h.org_id = $1 and h.conversation_id = $2 and h.ended_at is not null and h.seq <= $3 order by h.id limit $4
    )
"""
_DELETIONS = (_HANDOFFS, *_BY_NUMBER)
"""Messages last: as long as one is left, the next sweep begins again."""
