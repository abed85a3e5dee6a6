# ruff: noqa: S608 - the only names put into statements are checked ones
"""The outbox as the relay sees it: what waits, what was published where. All of it under the system role.

An event's row is written once. What was published is recorded in windows: `published` holds the numbers of events by
their places in the stream, one row for each window. What waits follows from the relay's `Horizon`.
The relay's record is compared whenever it is written: a relay that lost its leadership changes nothing.
"""

from __future__ import annotations

import time
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.db.deadline import Deadline
from polis.db.errors import unavailable
from polis.db.horizon import Gap, Horizon
from polis.db.leadership import lead

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from polis.db.database import Database
    from polis.db.transaction import Transaction

_REPAIR_S = 120.0
"""For the few statements that take a day's rows as unpublished."""


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
    horizon: Horizon = Horizon()


class _Record(Struct, frozen=True):
    epoch: int
    last_seq: int
    low: int
    low_seq: int


class _Span(Struct, frozen=True):
    """A number that was published, and the one before it."""

    n: int
    before: int


class _Numbered(Struct, frozen=True):
    id: UUID
    n: int


class _Snapshot(Struct, frozen=True):
    xmin: int
    xmax: int


def leadership(database: Database) -> AbstractAsyncContextManager[Callable[[], bool]]:
    """Wait to lead the relay of this service, among all its replicas; see `lead`."""
    return lead(database, "relay")


async def position(database: Database, stream: str) -> Position:
    """Where the relay stands; at the start for a stream that it has not seen."""
    async with database.across_orgs() as tx:
        found = await tx.row(
            _Record,
            f"""
            insert into {database.service}.relay as r (stream, epoch, last_seq) values ($1, 1, 0)
            on conflict (stream) do update set epoch = r.epoch
            returning epoch, last_seq, low, low_seq
            """,
            stream,
        )
        if found is None:
            raise LookupError(f"no position of {stream}")
        return Position(stream, found.epoch, found.last_seq, await _horizon(tx, database, found))


async def _horizon(tx: Transaction, database: Database, record: _Record) -> Horizon:
    """What was published behind the record's `low`, and the numbers that are missing in between."""
    spans = await tx.rows(
        _Span,
        f"""
        select n, before from (
            select n, coalesce(lag(n) over (order by n), $1) as before
            from {database.service}.published, unnest(ns) as n where first_seq > $2 and n > $1
        ) s
        where n > before + 1 or n = (
            select max(n) from {database.service}.published, unnest(ns) as n where first_seq > $2 and n > $1
        )
        order by n
        """,
        record.low,
        record.low_seq,
    )
    now = time.monotonic()
    gaps = tuple(Gap(s.before + 1, s.n - 1, record.low_seq, now) for s in spans if s.n > s.before + 1)
    return Horizon(spans[-1].n if spans else record.low, gaps)


async def pending(database: Database, position: Position, *, limit: int) -> tuple[list[Row], Position]:
    """Events that are not in the stream yet, in the order in which they are to stand there; the position, if more is known."""
    horizon = position.horizon
    if not horizon.gaps:
        async with database.across_orgs() as tx:
            return await _behind(tx, database, horizon.high, limit), position
    async with database.across_orgs() as tx:
        snapshot = await _snapshot(tx)  # before the rows: what had ended by then is seen in them
        late = await tx.rows(
            Row,
            f"""
            select {_COLUMNS} from unnest($1::bigint[], $2::bigint[]) as g (first, last)
            join {database.service}.outbox o on o.n between g.first and g.last order by o.n limit $3
            """,
            [gap.first for gap in horizon.gaps],
            [gap.last for gap in horizon.gaps],
            limit,
        )
        rows = late + await _behind(tx, database, horizon.high, limit - len(late))
    if len(late) < limit:
        found = [row.n for row in late]
        horizon = horizon.settled(xmin=snapshot.xmin, xmax=snapshot.xmax, found=found, now=time.monotonic())
    return rows, msgspec.structs.replace(position, horizon=horizon)


_COLUMNS = "o.n, o.id, o.subject, o.fact, o.entity, o.payload, o.trace, o.created_at"


async def _behind(tx: Transaction, database: Database, high: int, limit: int) -> list[Row]:
    return await tx.rows(
        Row,
        f"select {_COLUMNS} from {database.service}.outbox o where o.n > $1 order by o.n limit $2",
        high,
        limit,
    )


async def _snapshot(tx: Transaction) -> _Snapshot:
    found = await tx.row(
        _Snapshot,
        """
        select pg_snapshot_xmin(s)::text::bigint as xmin, pg_snapshot_xmax(s)::text::bigint as xmax
        from pg_current_snapshot() as s
        """,
    )
    if found is None:
        raise LookupError("no snapshot")
    return found


async def mark_published(
    database: Database, rows: Sequence[Row], *, first_seq: int, position: Position
) -> Position:
    """Record that these rows, the first of those that wait, stand in the stream one behind the other."""
    return await _record(database, position, [row.n for row in rows], first_seq + len(rows) - 1)


async def mark_stored(database: Database, ids: Sequence[str | None], *, position: Position) -> Position:
    """Record that the stream goes on with these events, as was found there; None for what is not ours."""
    async with database.across_orgs() as tx:
        rows = await tx.rows(
            _Numbered,
            f"select o.id, o.n from {database.service}.outbox o where o.id = any($1::uuid[]) and o.n > $2",
            [UUID(event_id) for event_id in ids if event_id is not None],
            position.horizon.low,
        )
    numbers = {str(row.id): row.n for row in rows}
    for known, group in groupby((numbers.get(event_id or "") for event_id in ids), lambda n: n is not None):
        found = list(group)
        own = [n for n in found if n is not None] if known else []
        position = await _record(database, position, own, position.last_seq + len(found))
    return position


async def _record(database: Database, position: Position, numbers: Sequence[int], last_seq: int) -> Position:
    """The events of these numbers are the last ones up to `last_seq`."""
    horizon = position.horizon.passed(numbers, before_seq=position.last_seq, now=time.monotonic())
    moved = Position(position.stream, position.epoch, last_seq, horizon)
    async with database.across_orgs() as tx:
        await _move(tx, database, position, moved)
        if numbers:
            await tx.execute(
                f"insert into {database.service}.published (first_seq, ns) values ($1, $2)",
                last_seq - len(numbers) + 1,
                list(numbers),
            )
    return moved


async def publish_again(database: Database, stream: str, *, after_seq: int, last_seq: int) -> Position:
    """Take what the stream lost as unpublished, and begin a new epoch at what it holds."""
    before = await position(database, stream)
    async with database.across_orgs(deadline=Deadline.after(_REPAIR_S)) as tx:
        await tx.execute(f"set local statement_timeout = {int(_REPAIR_S * 1000)}")
        first_lost = await tx.value(
            f"""
            select min(n) from {database.service}.published, unnest(ns) with ordinality as p (n, i)
            where first_seq + i - 1 > $1
            """,
            after_seq,
        )
        await tx.execute(f"delete from {database.service}.published where first_seq > $1", after_seq)
        await tx.execute(
            f"""
            update {database.service}.published set ns = ns[:$1 - first_seq + 1]
            where first_seq = (select max(first_seq) from {database.service}.published)
            """,
            after_seq,
        )
        record = await tx.row(
            _Record,
            f"""
            update {database.service}.relay set epoch = epoch + 1, last_seq = $2, low = least(low, $3 - 1),
                low_seq = coalesce((
                    select min(first_seq) - 1 from {database.service}.published, unnest(ns) as n
                    where n > least(low, $3 - 1)
                ), $2)
            where stream = $1 and epoch = $4
            returning epoch, last_seq, low, low_seq
            """,
            stream,
            last_seq,
            first_lost,
            before.epoch,
        )
        if record is None:
            raise unavailable("another relay has taken over")
        return Position(stream, record.epoch, record.last_seq, await _horizon(tx, database, record))


async def id_at(database: Database, seq: int) -> UUID | None:
    """The event that is known to stand at a sequence; None when its row is no longer kept."""
    async with database.across_orgs() as tx:
        found: UUID | None = await tx.value(
            f"""
            select o.id from (
                select ns[$1 - first_seq + 1] as n from {database.service}.published
                where first_seq <= $1 order by first_seq desc limit 1
            ) p join {database.service}.outbox o on o.n = p.n
            """,
            seq,
        )
    return found


async def _move(tx: Transaction, database: Database, before: Position, after: Position) -> None:
    """Refused(Unavailable) when the record is not where this relay left it: somebody else leads."""
    moved = await tx.execute(
        f"""
        update {database.service}.relay set epoch = $4, last_seq = $5, low = $6, low_seq = $7
        where stream = $1 and epoch = $2 and last_seq = $3
        """,
        before.stream,
        before.epoch,
        before.last_seq,
        after.epoch,
        after.last_seq,
        after.horizon.low,
        after.horizon.low_seq(after.last_seq),
    )
    if moved != 1:
        raise unavailable("another relay has taken over")
