# ruff: noqa: S608 - the only names put into statements are checked ones
"""The outbox as the relay sees it: what waits, what was published where, and who leads."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg
from msgspec import Struct

from polis.db.connections import connect
from polis.db.errors import CONNECTION_TROUBLE, unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from polis.db.database import Database

KEPT_H = 24
"""Hours that a published row is kept, to be published again after a loss of the stream."""
_SWEEP = 5_000


class Row(Struct, frozen=True):
    """A committed event."""

    n: int
    id: UUID
    subject: str
    payload: bytes
    headers: dict[str, str]


class Position(Struct, frozen=True):
    """What the stream is known to hold: everything up to `last_seq`, since it was last repaired (`epoch`)."""

    stream: str
    epoch: int
    last_seq: int


@asynccontextmanager
async def leadership(database: Database) -> AsyncIterator[Callable[[], bool]]:
    """Wait to lead; lead while the connection that holds the advisory lock lives. Refused(Unavailable) without one."""
    try:
        connection = await connect(database.url, name=f"polis-{database.service}-relay")
    except (*CONNECTION_TROUBLE, TimeoutError) as error:
        raise unavailable(str(error)) from error
    try:
        await connection.execute("set statement_timeout = 0; set lock_timeout = 0")
        try:
            await connection.execute("select pg_advisory_lock(hashtext($1), 0)", f"relay {database.service}")
        except (asyncpg.PostgresError, *CONNECTION_TROUBLE) as error:
            raise unavailable(str(error)) from error
        yield lambda: not connection.is_closed()
    finally:
        connection.terminate()


async def position(database: Database, stream: str) -> Position:
    """Where the relay stands; from the start for a stream that it has not seen."""
    async with database.across_orgs() as tx:
        found = await tx.row(
            Position,
            f"select stream, epoch, last_seq from {database.service}.relay where stream = $1",
            stream,
        )
    return found or Position(stream, 1, 0)


async def pending(database: Database, *, limit: int) -> list[Row]:
    """Events that are not in the stream yet, in the order in which their entities had them."""
    async with database.across_orgs() as tx:
        return await tx.rows(
            Row,
            f"select n, id, subject, payload, headers from {database.service}.outbox "
            "where stream_seq is null order by n limit $1",
            limit,
        )


async def mark_published(
    database: Database, rows: Sequence[Row], *, first_seq: int, position: Position
) -> Position:
    """Record that these rows stand in the stream one behind the other."""
    moved = Position(position.stream, position.epoch, first_seq + len(rows) - 1)
    async with database.across_orgs() as tx:
        await tx.execute(
            f"update {database.service}.outbox o set stream_seq = p.seq, published_at = now() "
            "from unnest($1::bigint[], $2::bigint[]) as p(n, seq) where o.n = p.n",
            [row.n for row in rows],
            list(range(first_seq, first_seq + len(rows))),
        )
        await _record(tx, database, moved)
    return moved


async def mark_one(database: Database, event_id: str | None, *, seq: int, position: Position) -> Position:
    """Record that the stream holds this event at `seq`, as was found there."""
    moved = Position(position.stream, position.epoch, seq)
    async with database.across_orgs() as tx:
        if event_id is not None:
            await tx.execute(
                f"update {database.service}.outbox set stream_seq = $2, published_at = now() where id = $1",
                UUID(event_id),
                seq,
            )
        await _record(tx, database, moved)
    return moved


async def publish_again(database: Database, stream: str, *, after_seq: int, last_seq: int) -> Position:
    """Take what the stream lost as unpublished, and begin a new epoch at what it holds."""
    before = await position(database, stream)
    moved = Position(stream, before.epoch + 1, last_seq)
    async with database.across_orgs() as tx:
        await tx.execute(
            f"update {database.service}.outbox set stream_seq = null, published_at = null where stream_seq > $1",
            after_seq,
        )
        await _record(tx, database, moved)
    return moved


async def id_at(database: Database, seq: int) -> UUID | None:
    """The event that is known to stand at a sequence; None when its row is no longer kept."""
    async with database.across_orgs() as tx:
        found: UUID | None = await tx.value(
            f"select id from {database.service}.outbox where stream_seq = $1", seq
        )
    return found


async def sweep(database: Database) -> int:
    """Delete what is kept longer than it has to be, a bounded number of rows; how many went."""
    deleted = 0
    async with database.across_orgs() as tx:
        for table, condition in (
            ("outbox", f"published_at < now() - interval '{KEPT_H} hours'"),
            ("inbox", "at < now() - interval '8 days'"),
            ("idempotency", "created_at < now() - interval '24 hours'"),
        ):
            deleted += await tx.execute(
                f"delete from {database.service}.{table} where ctid = any(array("
                f"select ctid from {database.service}.{table} where {condition} limit {_SWEEP}))"
            )
    return deleted


async def _record(tx: Any, database: Database, moved: Position) -> None:
    await tx.execute(
        f"insert into {database.service}.relay (stream, epoch, last_seq) values ($1, $2, $3) "
        "on conflict (stream) do update set epoch = excluded.epoch, last_seq = excluded.last_seq",
        moved.stream,
        moved.epoch,
        moved.last_seq,
    )
