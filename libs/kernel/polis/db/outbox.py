# ruff: noqa: S608 - the only names put into statements are checked ones
"""The outbox as the relay sees it: what waits, what was published where. All of it under the system role.

The relay's record is compared whenever it is written: a relay that lost its leadership changes nothing.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.db.deadline import Deadline
from polis.db.errors import unavailable
from polis.db.leadership import lead

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from polis.db.database import Database
    from polis.db.transaction import Transaction

_REPAIR_S = 120.0
"""For the one statement that takes a day's rows as unpublished."""


class Row(Struct, frozen=True):
    """A committed event."""

    n: int
    id: UUID
    subject: str
    fact: str
    entity: str
    payload: bytes
    trace: str | None
    created_at: datetime


class Position(Struct, frozen=True):
    """What the stream is known to hold: everything up to `last_seq`, since it was last repaired (`epoch`)."""

    stream: str
    epoch: int
    last_seq: int


def leadership(database: Database) -> AbstractAsyncContextManager[Callable[[], bool]]:
    """Wait to lead the relay of this service, among all its replicas; see `lead`."""
    return lead(database, "relay")


async def position(database: Database, stream: str) -> Position:
    """Where the relay stands; at the start for a stream that it has not seen."""
    async with database.across_orgs() as tx:
        found = await tx.row(
            Position,
            f"""
            insert into {database.service}.relay as r (stream, epoch, last_seq) values ($1, 1, 0)
            on conflict (stream) do update set epoch = r.epoch
            returning stream, epoch, last_seq
            """,
            stream,
        )
    if found is None:
        raise LookupError(f"no position of {stream}")
    return found


async def pending(database: Database, *, limit: int) -> list[Row]:
    """Events that are not in the stream yet, in the order in which they are to stand there.

    Whatever is unpublished, not what is behind a position: a lower `n` may commit after a higher one.
    """
    async with database.across_orgs() as tx:
        return await tx.rows(
            Row,
            f"""
            select o.n, o.id, o.subject, o.fact, o.entity, o.payload, o.trace, o.created_at
            from {database.service}.outbox o
            where o.stream_seq is null order by o.n limit $1
            """,
            limit,
        )


async def mark_published(
    database: Database, rows: Sequence[Row], *, first_seq: int, position: Position
) -> Position:
    """Record that these rows stand in the stream one behind the other."""
    moved = Position(position.stream, position.epoch, first_seq + len(rows) - 1)
    async with database.across_orgs() as tx:
        await _move(tx, database, position, moved)
        await tx.execute(
            f"""
            update {database.service}.outbox o set stream_seq = $2 + p.i - 1, published_at = now()
            from unnest($1::bigint[]) with ordinality as p(n, i) where o.n = p.n
            """,
            [row.n for row in rows],
            first_seq,
        )
    return moved


async def mark_one(database: Database, event_id: str | None, *, seq: int, position: Position) -> Position:
    """Record that the stream holds this event at `seq`, as was found there; None for one that is not ours."""
    moved = Position(position.stream, position.epoch, seq)
    async with database.across_orgs() as tx:
        await _move(tx, database, position, moved)
        if event_id is not None:
            await tx.execute(
                f"""
                update {database.service}.outbox set stream_seq = $2, published_at = now()
                where id = $1 and stream_seq is null
                """,
                UUID(event_id),
                seq,
            )
    return moved


async def publish_again(database: Database, stream: str, *, after_seq: int, last_seq: int) -> Position:
    """Take what the stream lost as unpublished, and begin a new epoch at what it holds."""
    before = await position(database, stream)
    moved = Position(stream, before.epoch + 1, last_seq)
    async with database.across_orgs(deadline=Deadline.after(_REPAIR_S)) as tx:
        await tx.execute(f"set local statement_timeout = {int(_REPAIR_S * 1000)}")
        await _move(tx, database, before, moved)
        await tx.execute(
            f"update {database.service}.outbox set stream_seq = null, published_at = null where stream_seq > $1",
            after_seq,
        )
    return moved


async def id_at(database: Database, seq: int) -> UUID | None:
    """The event that is known to stand at a sequence; None when its row is no longer kept."""
    async with database.across_orgs() as tx:
        found: UUID | None = await tx.value(
            f"select o.id from {database.service}.outbox o where o.stream_seq = $1 order by o.n limit 1", seq
        )
    return found


async def _move(tx: Transaction, database: Database, before: Position, after: Position) -> None:
    """Refused(Unavailable) when the record is not where this relay left it: somebody else leads."""
    moved = await tx.execute(
        f"""
        update {database.service}.relay set epoch = $4, last_seq = $5
        where stream = $1 and epoch = $2 and last_seq = $3
        """,
        before.stream,
        before.epoch,
        before.last_seq,
        after.epoch,
        after.last_seq,
    )
    if moved != 1:
        raise unavailable("another relay has taken over")
