"""The log of a conversation: messages as they were posted and what else happened, in one order of numbers.

What happened to a message is told with the message as it is now, so that nothing comes back that was deleted.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.db import Listing
from polis.messaging.handoff import rows as handoffs
from polis.messaging.messages import rows as messages
from polis.proto.messaging import (
    AnswerTurn,
    Controlled,
    Conversation,
    ConversationSnapshot,
    Entry,
    Handoff,
    Message,
    Participant,
)

if TYPE_CHECKING:
    from polis.db import Tenant, Transaction
    from polis.messaging.access import ConversationRow

MOST = 1_000
"""Entries behind a cursor that are told one by one; who has missed more starts anew."""
STEP = 200
SHOWN = 50
"""Messages in a snapshot."""
SHOWN_PARTICIPANTS = 500


class _EntryRow(Struct, frozen=True):
    seq: int
    at: datetime
    kind: Literal[
        "created",
        "changed",
        "responsible",
        "handoff",
        "participant",
        "edited",
        "deleted",
        "reacted",
        "pinned",
        "control",
        "turn",
    ]
    actor_id: UUID
    message_seq: int | None
    body: str | None


# After an outage of the gateway many ask at once, each for a conversation of its own.
_ENTRIES = Listing(
    _EntryRow,
    """
    select e.seq, e.at, e.kind, e.actor_id, e.message_seq, e.body from messaging.entries e
    where e.org_id = $1 and e.conversation_id = $2 and e.seq > $3 order by e.seq limit $4
    """,
    "uuid",
    "bigint",
    "bigint",
    largest=4,
)


async def after(db: Tenant | Transaction, conversation_id: UUID, seq: int, limit: int = STEP) -> list[Entry]:
    """The entries that follow a number, without gaps: as many as fit, at least one if there is one and it is kept."""
    others = await db.page(_ENTRIES, conversation_id, seq, limit)
    posted = {
        message.seq: message for message in (await messages.after(db, conversation_id, seq, limit)).messages
    }
    rows = {row.seq: row for row in others}
    wanted = {row.message_seq for row in others if row.message_seq is not None}
    known = posted | await messages.these(db, conversation_id, sorted(wanted - posted.keys())[:limit])
    return _merged(rows, posted, known, seq)


def _merged(
    rows: dict[int, _EntryRow], posted: dict[int, Message], known: dict[int, Message], seq: int
) -> list[Entry]:
    """One behind the other, until one is missing or the answer is full."""
    entries: list[Entry] = []
    left = 2 * messages.PAGE_BYTES
    while left > 0:
        seq += 1
        message = posted.get(seq)
        if message is not None:
            entries.append(Entry(seq, message.sent_at, "posted", message.sender_id, message))
        elif (row := rows.get(seq)) is not None:
            message = None if row.message_seq is None else known.get(row.message_seq)
            entries.append(_entry(row, message))
        else:
            break
        left -= len(msgspec.json.encode(entries[-1]))
    return entries


def _entry(row: _EntryRow, message: Message | None) -> Entry:
    body = (row.body or "").encode()
    return Entry(
        row.seq,
        row.at,
        row.kind,
        row.actor_id,
        message=message,
        participant=msgspec.json.decode(body, type=Participant) if row.kind == "participant" else None,
        conversation=msgspec.json.decode(body, type=Conversation)
        if row.kind in ("created", "changed", "responsible")
        else None,
        handoff=msgspec.json.decode(body, type=Handoff) if row.kind == "handoff" else None,
        control=msgspec.json.decode(body, type=Controlled) if row.kind == "control" else None,
        turn=msgspec.json.decode(body, type=AnswerTurn) if row.kind == "turn" else None,
    )


async def caught_up(db: Transaction, row: ConversationRow, after_seq: int | None) -> ConversationSnapshot:
    """What follows a cursor; or the conversation as it is, where there is none or it cannot be continued."""
    conversation = row.conversation
    if after_seq is not None and _continues(row, after_seq):
        entries = await after(db, row.id, after_seq) if after_seq < row.head_seq else []
        if entries or after_seq == row.head_seq:
            seq = entries[-1].seq if entries else after_seq
            return ConversationSnapshot(conversation, seq, entries=tuple(entries))
    return await _whole(db, conversation, recovered=after_seq is None)


def _continues(row: ConversationRow, seq: int) -> bool:
    return row.kept_from - 1 <= seq <= row.head_seq <= seq + MOST


async def _whole(db: Transaction, conversation: Conversation, *, recovered: bool) -> ConversationSnapshot:
    people = await db.rows(
        Participant,
        """
        select p.principal_id, p.kind, p.role, p.state, p.since, p.by_id, p.muted_until from messaging.participants p
        where p.org_id = $1 and p.conversation_id = $2 and p.state in ('joined', 'invited')
        order by p.principal_id limit $3
        """,
        conversation.org_id,
        conversation.id,
        SHOWN_PARTICIPANTS + 1,
    )
    newest = await messages.before(db, conversation.id, conversation.head_seq + 1, SHOWN)
    return ConversationSnapshot(
        conversation,
        conversation.head_seq,
        participants=tuple(people[:SHOWN_PARTICIPANTS]),
        messages=tuple(reversed(newest.messages)),
        recovered=recovered,
        complete=len(people) <= SHOWN_PARTICIPANTS,
        handoffs=tuple(await handoffs.active(db, conversation.id)),
    )
