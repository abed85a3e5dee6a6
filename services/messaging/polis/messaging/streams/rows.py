"""Rows of streams, with their text as far as it was taken."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.proto import Refused, messaging
from polis.proto.messaging import MessageStream, StreamStatus

if TYPE_CHECKING:
    from polis.db import Tenant, Transaction
    from polis.proto.messaging import StreamState

OPEN = frozenset({"open", "paused"})


class StreamRow(Struct, frozen=True):
    """A stored stream. text: what was taken, of which the first `shown` characters are shown."""

    org_id: UUID
    id: UUID
    conversation_id: UUID
    producer_id: UUID
    client_id: str
    state: Literal["open", "paused", "complete", "partial", "preempted", "cancelled"]
    began_at: datetime
    heard_at: datetime
    reply_to: int | None
    thread: int | None
    run_id: UUID | None
    priority: int
    taken: int
    shown: int
    cancelled_by: UUID | None
    message_seq: int | None
    text: str

    @property
    def is_open(self) -> bool:
        return self.state in OPEN

    def status(self, lease_s: float) -> StreamStatus:
        return StreamStatus(
            self.id, self.state, self.taken, self.shown, lease_s, self.priority, self.message_seq
        )

    def seen(self, at: int = 0) -> MessageStream:
        """What readers see of it, from there on."""
        return MessageStream(
            self.id,
            self.conversation_id,
            self.producer_id,
            self.state,
            self.began_at,
            text=self.text[at : self.shown],
            length=self.shown,
            at=min(at, self.shown),
            reply_to=self.reply_to,
            thread=self.thread,
            run_id=self.run_id,
            priority=self.priority,
            message_seq=self.message_seq,
        )


_SELECT = """
    select s.org_id, s.id, s.conversation_id, s.producer_id, s.client_id, s.state, s.began_at, s.heard_at, s.reply_to, s.thread, s.run_id,
        s.priority, s.taken, s.shown, s.cancelled_by, s.message_seq, messaging.stream_text(s.org_id, s.id, s.tail) as text
    from messaging.streams s
"""
_ONE = f"{_SELECT} where s.org_id = $1 and s.id = $2"
_THESE = f"{_SELECT} where s.org_id = $1 and s.id = any($2::uuid[]) order by s.began_at, s.id"
_OPEN_IN = f"""
    {_SELECT} where s.org_id = $1 and s.conversation_id = $2 and s.state in ('open', 'paused')
    order by s.began_at, s.id limit $3
"""


async def find(db: Tenant | Transaction, stream_id: UUID) -> StreamRow | None:
    return await db.row(StreamRow, _ONE, db.org_id, stream_id)


async def get(db: Tenant | Transaction, stream_id: UUID) -> StreamRow:
    """Refused(StreamNotFound)."""
    row = await find(db, stream_id)
    if row is None:
        raise Refused(messaging.StreamNotFound(stream_id=stream_id))
    return row


async def open_in(db: Tenant | Transaction, conversation_id: UUID) -> list[StreamRow]:
    """The open streams of a conversation, as they began."""
    return await db.rows(StreamRow, _OPEN_IN, db.org_id, conversation_id, 2 * messaging.MAX_OPEN_STREAMS)


async def lock(tx: Transaction, stream_ids: list[UUID]) -> list[StreamRow]:
    """Streams as they are by now, and stay until the transaction ends. Lock their conversation first."""
    await tx.execute(
        "select from messaging.streams s where s.org_id = $1 and s.id = any($2::uuid[]) order by s.id for update",
        tx.org_id,
        stream_ids,
    )
    return await these(tx, stream_ids)


async def these(tx: Transaction, stream_ids: list[UUID]) -> list[StreamRow]:
    """Streams by their ids, as they began."""
    return await tx.rows(StreamRow, _THESE, tx.org_id, stream_ids)


async def named(
    tx: Transaction, conversation_id: UUID, producer_id: UUID, client_id: str
) -> StreamRow | None:
    """The stream that somebody calls by this name."""
    return await tx.row(
        StreamRow,
        f"{_SELECT} where s.org_id = $1 and s.conversation_id = $2 and s.producer_id = $3 and s.client_id = $4",
        tx.org_id,
        conversation_id,
        producer_id,
        client_id,
    )


class Counts(Struct, frozen=True):
    """How many streams are open: in a conversation, and of somebody in all."""

    here: int
    own: int


async def counts(tx: Transaction, conversation_id: UUID, producer_id: UUID) -> Counts:
    """Nobody else opens one there or for them until the transaction ends. Lock the conversation first."""
    await tx.execute(
        "select pg_advisory_xact_lock(hashtextextended('messaging.streams ' || $1::uuid::text, 0))",
        producer_id,
    )
    found = await tx.row(
        Counts,
        """
        select (
            select count(*) from messaging.streams s
            where s.org_id = $1 and s.conversation_id = $2 and s.state in ('open', 'paused')
        ) as here, (
            select count(*) from messaging.streams s
            where s.org_id = $1 and s.producer_id = $3 and s.state in ('open', 'paused')
        ) as own
        """,
        tx.org_id,
        conversation_id,
        producer_id,
    )
    return found or Counts(0, 0)


async def insert(tx: Transaction, row: StreamRow) -> None:
    await tx.execute(
        """
        insert into messaging.streams
            (org_id, id, conversation_id, producer_id, client_id, state, began_at, heard_at, reply_to, thread, run_id)
        values ($1, $2, $3, $4, $5, $6, $7, $7, $8, $9, $10)
        """,
        row.org_id,
        row.id,
        row.conversation_id,
        row.producer_id,
        row.client_id,
        row.state,
        row.began_at,
        row.reply_to,
        row.thread,
        row.run_id,
    )


async def change(
    tx: Transaction, stream_ids: list[UUID], *, state: StreamState, show: bool, now: datetime
) -> None:
    """Let locked streams be open or paused from now on. show: all that was taken meanwhile."""
    await tx.execute(
        """
        update messaging.streams set state = $3, heard_at = $4, shown = case when $5 then taken else shown end
        where org_id = $1 and id = any($2::uuid[])
        """,
        tx.org_id,
        stream_ids,
        state,
        now,
        show,
    )


async def prioritize(tx: Transaction, stream_ids: list[UUID], level: int) -> None:
    await tx.execute(
        "update messaging.streams set priority = $3 where org_id = $1 and id = any($2::uuid[])",
        tx.org_id,
        stream_ids,
        level,
    )


async def cancelling(tx: Transaction, stream_ids: list[UUID], by: UUID | None) -> None:
    """Whoever ends these from now on ends what was cancelled by somebody; nobody, when their runs go on after all."""
    await tx.execute(
        """
        update messaging.streams set cancelled_by = $3
        where org_id = $1 and id = any($2::uuid[]) and state in ('open', 'paused')
        """,
        tx.org_id,
        stream_ids,
        by,
    )


async def end(
    tx: Transaction, row: StreamRow, state: StreamState, message_seq: int | None, now: datetime
) -> None:
    """Let a locked stream be over; its text stands in its message, if anywhere."""
    await tx.execute(
        """
        with gone as (delete from messaging.stream_parts where org_id = $1 and stream_id = $2)
        update messaging.streams set state = $3, message_seq = $4, ended_at = $5, tail = ''
        where org_id = $1 and id = $2
        """,
        tx.org_id,
        row.id,
        state,
        message_seq,
        now,
    )


_SHOWN_BYTES = 128 * 1024


async def shown_in(db: Transaction, conversation_id: UUID) -> tuple[MessageStream, ...]:
    """What is being said in a conversation; the text of those for which there is no room is left to be asked for."""
    left = _SHOWN_BYTES
    found = []
    for row in await open_in(db, conversation_id):
        seen = row.seen()
        left -= len(seen.text.encode())
        found.append(seen if left >= 0 else msgspec.structs.replace(seen, text=""))
    return tuple(found)
