"""Rows of messages: as they are stored, and pages of them. A page is bounded by bytes too: an answer is one message of the bus."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.db import Listing
from polis.proto import Refused, messaging
from polis.proto.messaging import Message, MessagePart, MessageRevision, Reaction, Streamed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polis.db import Tenant, Transaction

PAGE_BYTES = 384 * 1024
_TOGETHER = 4
"""Pages in one statement: each may hold as many bytes as an answer, and 201 messages."""
_OVERHEAD = 400
"""Bytes of a message on the wire besides what was said."""


class More(Struct, frozen=True, omit_defaults=True):
    """What a message holds besides its text."""

    parts: tuple[MessagePart, ...] = ()
    mentions: tuple[UUID, ...] = ()
    attributes: dict[str, object] = {}
    stream: Streamed | None = None


_NOTHING = More()
_more = msgspec.json.Decoder(More)
_reactions = msgspec.json.Decoder(tuple[Reaction, ...])


class MessageRow(Struct, frozen=True):
    """A stored message."""

    conversation_id: UUID
    seq: int
    sender_id: UUID
    sent_at: datetime
    text: str
    more: str | None
    size: int
    reply_to: int | None
    thread: int | None
    client_id: str | None
    revision: int
    edited_at: datetime | None
    deleted_at: datetime | None
    deleted_by: UUID | None
    pinned_at: datetime | None
    pinned_by: UUID | None
    reactions: str | None

    @property
    def message(self) -> Message:
        more = _NOTHING if self.more is None else _more.decode(self.more)
        return Message(
            conversation_id=self.conversation_id,
            seq=self.seq,
            sender_id=self.sender_id,
            sent_at=self.sent_at,
            text=self.text,
            parts=more.parts,
            reply_to=self.reply_to,
            thread=self.thread,
            mentions=more.mentions,
            attributes=more.attributes,
            client_id=self.client_id,
            revision=self.revision,
            edited_at=self.edited_at,
            deleted_at=self.deleted_at,
            deleted_by=self.deleted_by,
            pinned_at=self.pinned_at,
            pinned_by=self.pinned_by,
            reactions=() if self.reactions is None else _reactions.decode(self.reactions),
            stream=more.stream,
        )


def more_of(message: Message) -> str | None:
    more = More(message.parts, message.mentions, message.attributes, message.stream)
    return None if more == _NOTHING else msgspec.json.encode(more).decode()


def size_of(text: str, *more: str | None) -> int:
    """Bytes on the wire, about: JSON writes some characters as six. more: what is JSON already."""
    size = _OVERHEAD + len(msgspec.json.encode(text))
    for each in more:
        if each:
            size += len(each.encode())
    return size


COLUMNS = """
    m.conversation_id, m.seq, m.sender_id, m.sent_at, m.text, m.more, m.size, m.reply_to, m.thread, m.client_id, m.revision,
    m.edited_at, m.deleted_at, m.deleted_by, m.pinned_at, m.pinned_by, m.reactions
"""


class _PageRow(MessageRow, frozen=True, kw_only=True):
    there: int


def _page(condition: str, order: str) -> Listing[_PageRow]:
    """As many messages as fit, at least one: from bound $3 on, at most $4 of them; `there`: how many there are of those."""
    return _listing(_fitting(_some(condition, order), order))


def _listing(sql: str, *more: str) -> Listing[_PageRow]:
    return Listing(_PageRow, sql, "uuid", "bigint", "bigint", *more, largest=_TOGETHER)


def _fitting(some: str, order: str) -> str:
    return f"""
        select {COLUMNS}, m.there from (
            select m.*, sum(m.size) over (order by m.seq {order}) as total, count(*) over () as there from ({some}) m
        ) m where m.total - m.size < {PAGE_BYTES} order by m.seq {order}
    """  # noqa: S608 - the parts are constants


def _some(condition: str, order: str) -> str:
    return f"""
        select m.* from messaging.messages m
        where m.org_id = $1 and m.conversation_id = $2 and {condition} order by m.seq {order} limit $4
    """  # noqa: S608 - as above


_BEFORE = _page("m.seq < $3", "desc")
_AFTER = _page("m.seq > $3", "asc")
_PINNED = _page("m.seq < $3 and m.pinned_at is not null", "desc")
# The first message of a thread is not in the index of threads: with `or` all of the conversation would be gone through.
_THREAD = _listing(
    _fitting(
        f"""
            select t.* from (
                ({_some("m.seq < $3 and m.thread = $5", "desc")}) union all ({_some("m.seq < $3 and m.seq = $5", "desc")})
            ) t order by t.seq desc limit $4
        """,  # noqa: S608 - as above
        "desc",
    ),
    "bigint",
)
_ONE = f"select {COLUMNS} from messaging.messages m where m.org_id = $1 and m.conversation_id = $2 and m.seq = $3"  # noqa: S608 - as above
_NAMED = f"""
    select {COLUMNS} from messaging.messages m
    where m.org_id = $1 and m.sender_id = $3 and m.client_id = $4 and m.conversation_id is not distinct from $2
"""  # noqa: S608 - as above
_THESE = f"""
    select {COLUMNS} from messaging.messages m
    where m.org_id = $1 and m.conversation_id = $2 and m.seq = any($3::bigint[])
"""  # noqa: S608 - as above


class Found(Struct, frozen=True):
    """Messages of a page, and whether there are more behind it."""

    messages: list[Message]
    more: bool


async def before(
    db: Tenant | Transaction, conversation_id: UUID, bound: int, limit: int, *, pinned: bool = False
) -> Found:
    """Messages with numbers below a bound, the newest first."""
    return await _found(db, _PINNED if pinned else _BEFORE, conversation_id, bound, limit)


async def after(db: Tenant | Transaction, conversation_id: UUID, bound: int, limit: int) -> Found:
    """Messages with numbers above a bound, the oldest first."""
    return await _found(db, _AFTER, conversation_id, bound, limit)


async def thread(db: Tenant | Transaction, conversation_id: UUID, root: int, bound: int, limit: int) -> Found:
    """Messages below a message and that one, with numbers below a bound, the newest first."""
    return await _found(db, _THREAD, conversation_id, bound, limit, root)


async def _found(
    db: Tenant | Transaction,
    listing: Listing[_PageRow],
    conversation_id: UUID,
    bound: int,
    limit: int,
    *more: object,
) -> Found:
    rows = await db.page(listing, conversation_id, bound, limit + 1, *more)
    kept = rows[:limit]
    return Found([row.message for row in kept], more=bool(rows) and rows[0].there > len(kept))


async def get(db: Tenant | Transaction, conversation_id: UUID, seq: int) -> Message:
    """Refused(MessageNotFound)."""
    row = await db.row(MessageRow, _ONE, db.org_id, conversation_id, seq)
    if row is None:
        raise Refused(messaging.MessageNotFound(seq=seq))
    return row.message


async def named(
    db: Tenant | Transaction, conversation_id: UUID, sender_id: UUID, name: str
) -> Message | None:
    """The message that its sender calls so (`client_id`)."""
    row = await db.row(MessageRow, _NAMED, db.org_id, conversation_id, sender_id, name)
    return None if row is None else row.message


async def these(db: Tenant | Transaction, conversation_id: UUID, seqs: Sequence[int]) -> dict[int, Message]:
    """Messages by their numbers, those that are kept."""
    if not seqs:
        return {}
    found = await db.rows(MessageRow, _THESE, db.org_id, conversation_id, list(seqs))
    return {row.seq: row.message for row in found}


class _RevisionRow(Struct, frozen=True):
    revision: int
    text: str
    parts: str | None
    until: datetime


async def revisions(db: Tenant, conversation_id: UUID, seq: int) -> list[MessageRevision]:
    """What a message said before, the oldest first; as many as fit."""
    found = await db.rows(
        _RevisionRow,
        f"""
        select r.revision, r.text, r.parts, r.until from (
            select r.*, sum(octet_length(to_json(r.text)::text) + coalesce(octet_length(r.parts), 0)) over (order by r.revision) as total
            from messaging.revisions r where r.org_id = $1 and r.conversation_id = $2 and r.seq = $3
        ) r where r.total < {2 * PAGE_BYTES} order by r.revision
        """,  # noqa: S608 - a constant
        db.org_id,
        conversation_id,
        seq,
    )
    return [
        MessageRevision(
            row.revision,
            row.text,
            () if row.parts is None else msgspec.json.decode(row.parts, type=tuple[MessagePart, ...]),
            row.until,
        )
        for row in found
    ]
