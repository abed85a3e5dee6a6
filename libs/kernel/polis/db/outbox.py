# ruff: noqa: S608 - the only names put into statements are checked ones
"""The outbox as the relay sees it: what waits, what was published where. A turn of the relay is two statements.

An event's row is written once. What was published is recorded in windows: `published` holds the numbers of events by
their places in the stream, one row for each window. What waits follows from the relay's `Horizon`.
All of it is stated on the connection that holds the lead, and the relay's record is compared whenever it is written: a
relay that lost its leadership changes nothing.
"""

from __future__ import annotations

import time
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.db.errors import unavailable
from polis.db.horizon import Gap, Horizon
from polis.db.rows import to_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polis.db.leadership import Lead

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


async def position(lead: Lead, stream: str) -> Position:
    """Where the relay stands; at the start for a stream that it has not seen."""
    found = await lead.row(
        _Record,
        f"""
        insert into {lead.service}.relay as r (stream, epoch, last_seq) values ($1, 1, 0)
        on conflict (stream) do update set epoch = r.epoch
        returning epoch, last_seq, low, low_seq
        """,
        stream,
    )
    if found is None:
        raise LookupError(f"no position of {stream}")
    return Position(stream, found.epoch, found.last_seq, await _horizon(lead, found))


async def _horizon(lead: Lead, record: _Record) -> Horizon:
    """What was published behind the record's `low`, and the numbers that are missing in between."""
    spans = await lead.rows(
        _Span,
        f"""
        select n, before from (
            select n, coalesce(lag(n) over (order by n), $1) as before
            from {lead.service}.published, unnest(ns) as n where first_seq > $2 and n > $1
        ) s
        where n > before + 1 or n = (
            select max(n) from {lead.service}.published, unnest(ns) as n where first_seq > $2 and n > $1
        )
        order by n
        """,
        record.low,
        record.low_seq,
    )
    now = time.monotonic()
    gaps = tuple(Gap(s.before + 1, s.n - 1, record.low_seq, now) for s in spans if s.n > s.before + 1)
    return Horizon(spans[-1].n if spans else record.low, gaps)


async def pending(lead: Lead, position: Position, *, limit: int) -> tuple[list[Row], Position]:
    """Events that are not in the stream yet, in the order in which they are to stand there; the position, if more is known."""
    if position.horizon.gaps:
        return await _pending_in_gaps(lead, position, limit)
    rows = await lead.rows(
        Row,
        f"select {_COLUMNS} from {lead.service}.outbox o where o.n > $1 order by o.n limit $2",
        position.horizon.high,
        limit,
    )
    return rows, position


_COLUMNS = "o.n, o.id, o.subject, o.fact, o.entity, o.payload, o.trace, o.created_at"


async def _pending_in_gaps(lead: Lead, position: Position, limit: int) -> tuple[list[Row], Position]:
    horizon = position.horizon
    # The function tells of the snapshot in which this very statement sees the rows.
    found = await lead.fetch(
        f"""
        select pg_snapshot_xmin(s)::text::bigint as xmin, pg_snapshot_xmax(s)::text::bigint as xmax, {_COLUMNS}
        from pg_current_snapshot() as s left join (
            (
                -- Each gap by the index: in the order that is asked for, all of the outbox would be read for what is not there.
                select {_COLUMNS} from unnest($1::bigint[], $2::bigint[]) as g (first, last) cross join lateral (
                    select {_COLUMNS} from {lead.service}.outbox o
                    where o.n between g.first and g.last order by o.n limit $4
                ) o order by o.n limit $4
            )
            union all
            (select {_COLUMNS} from {lead.service}.outbox o where o.n > $3 order by o.n limit $4)
        ) o on true
        order by o.n limit $4
        """,
        [gap.first for gap in horizon.gaps],
        [gap.last for gap in horizon.gaps],
        horizon.high,
        limit,
    )
    rows = to_rows(Row, found, skip=2) if found[0]["n"] is not None else []
    late = [row.n for row in rows if row.n <= horizon.high]
    if len(late) < limit:
        horizon = horizon.settled(
            xmin=found[0]["xmin"], xmax=found[0]["xmax"], found=late, now=time.monotonic()
        )
    return rows, msgspec.structs.replace(position, horizon=horizon)


async def mark_published(lead: Lead, rows: Sequence[Row], *, first_seq: int, position: Position) -> Position:
    """Record that these rows, the first of those that wait, stand in the stream one behind the other."""
    return await _record(lead, position, [row.n for row in rows], first_seq + len(rows) - 1)


async def mark_stored(lead: Lead, ids: Sequence[str | None], *, position: Position) -> Position:
    """Record that the stream goes on with these events, as was found there; None for what is not ours."""
    rows = await lead.rows(
        _Numbered,
        f"select o.id, o.n from {lead.service}.outbox o where o.id = any($1::uuid[]) and o.n > $2",
        [UUID(event_id) for event_id in ids if event_id is not None],
        position.horizon.low,
    )
    numbers = {str(row.id): row.n for row in rows}
    for known, group in groupby((numbers.get(event_id or "") for event_id in ids), lambda n: n is not None):
        found = list(group)
        own = [n for n in found if n is not None] if known else []
        position = await _record(lead, position, own, position.last_seq + len(found))
    return position


async def _record(lead: Lead, position: Position, numbers: Sequence[int], last_seq: int) -> Position:
    """The events of these numbers are the last ones up to `last_seq`.

    Refused(Unavailable) when the record is not where this relay left it: somebody else leads.
    """
    horizon = position.horizon.passed(numbers, before_seq=position.last_seq, now=time.monotonic())
    moved = await lead.value(
        f"""
        with moved as (
            update {lead.service}.relay set last_seq = $4, low = $5, low_seq = $6
            where stream = $1 and epoch = $2 and last_seq = $3 returning true
        ), kept as (
            insert into {lead.service}.published (first_seq, ns)
            select $4 - cardinality($7::bigint[]) + 1, $7 from moved where cardinality($7) > 0
        )
        select exists (select from moved)
        """,
        position.stream,
        position.epoch,
        position.last_seq,
        last_seq,
        horizon.low,
        horizon.low_seq(last_seq),
        numbers,
    )
    if not moved:
        raise unavailable("another relay has taken over")
    return Position(position.stream, position.epoch, last_seq, horizon)


async def publish_again(lead: Lead, stream: str, *, after_seq: int, last_seq: int) -> Position:
    """Take what the stream lost as unpublished, and begin a new epoch at what it holds."""
    before = await position(lead, stream)
    async with lead.transaction(within_s=_REPAIR_S):
        first_lost = await lead.value(
            f"""
            select min(n) from {lead.service}.published, unnest(ns) with ordinality as p (n, i)
            where first_seq + i - 1 > $1
            """,
            after_seq,
        )
        await lead.fetch(f"delete from {lead.service}.published where first_seq > $1", after_seq)
        await lead.fetch(
            f"""
            update {lead.service}.published set ns = ns[:$1 - first_seq + 1]
            where first_seq = (select max(first_seq) from {lead.service}.published)
            """,
            after_seq,
        )
        record = await lead.row(
            _Record,
            f"""
            update {lead.service}.relay set epoch = epoch + 1, last_seq = $2, low = least(low, $3 - 1),
                low_seq = coalesce((
                    select min(first_seq) - 1 from {lead.service}.published, unnest(ns) as n
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
        return Position(stream, record.epoch, record.last_seq, await _horizon(lead, record))


async def id_at(lead: Lead, seq: int) -> UUID | None:
    """The event that is known to stand at a sequence; None when its row is no longer kept."""
    found: UUID | None = await lead.value(
        f"""
        select o.id from {lead.service}.outbox o where o.n = (
            select ns[$1 - first_seq + 1] from {lead.service}.published
            where first_seq <= $1 order by first_seq desc limit 1
        )
        """,
        seq,
    )
    return found
