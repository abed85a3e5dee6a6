"""Rows of conversations: begun, changed, listed."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.messaging.access import COLUMNS, ConversationRow
from polis.proto import messaging
from polis.proto.messaging import MyConversation

if TYPE_CHECKING:
    from polis.db import Tenant, Transaction
    from polis.proto.messaging import Conversation

_COUNTED = 100


class Mine(Struct, frozen=True):
    """Where a list of one's conversations goes on, and which list it is."""

    kind: str | None
    archived: bool
    last_at: datetime | None = None
    id: UUID = UUID(int=0)


class Channels(Struct, frozen=True):
    """Where a list of channels goes on: behind this one, in the list of those whose names begin like the digest says."""

    begins: str
    id: UUID | None = None


class _MineRow(ConversationRow, frozen=True, kw_only=True):
    unread: int = 0


async def insert(tx: Transaction, conversation: Conversation) -> bool:
    """Store a new conversation, before its first entry; false when these two have one."""
    pair = sorted(conversation.with_ids) or (None, None)
    inserted = await tx.execute(
        """
        insert into messaging.conversations (org_id, id, kind, name, topic, visibility, data_class, first_id, second_id,
            created_by, created_at, head_seq, last_at, responsible_id)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, $11, $12)
        on conflict (org_id, first_id, second_id) where first_id is not null do nothing
        """,
        conversation.org_id,
        conversation.id,
        conversation.kind,
        conversation.name,
        conversation.topic,
        conversation.visibility,
        conversation.data_class,
        pair[0],
        pair[1],
        conversation.created_by,
        conversation.created_at,
        conversation.responsible_id,
    )
    return inserted == 1


async def of_pair(db: Tenant | Transaction, one: UUID, other: UUID) -> Conversation | None:
    """The conversation of these two."""
    row = await db.row(
        ConversationRow,
        f"""
        select {COLUMNS} from messaging.conversations c
        left join messaging.participants p
            on p.org_id = c.org_id and p.conversation_id = c.id and p.principal_id = $4
        where c.org_id = $1 and c.first_id = $2 and c.second_id = $3
        """,  # noqa: S608 - the parts are constants
        db.org_id,
        *sorted((one, other)),
        one,
    )
    return None if row is None else row.conversation


async def change(tx: Transaction, changed: Conversation) -> None:
    """Store what a locked conversation is called, seen and kept like from now on."""
    await tx.execute(
        """
        update messaging.conversations set name = $3, topic = $4, visibility = $5, data_class = $6, retention_days = $7,
            archived_at = $8
        where org_id = $1 and id = $2
        """,
        changed.org_id,
        changed.id,
        changed.name,
        changed.topic,
        changed.visibility,
        changed.data_class,
        changed.retention_days,
        changed.archived_at,
    )


async def mine(db: Tenant, principal_id: UUID, at: Mine, limit: int) -> list[MyConversation]:
    """Conversations of somebody, those where something happened last first, with what they have not read."""
    rows = await db.rows(
        _MineRow,
        f"""
        select c.*, (
            select count(*) from (
                select from messaging.messages m
                where m.org_id = $1 and m.conversation_id = c.id and m.seq > c.read_seq and m.sender_id <> $2
                    and m.deleted_at is null
                limit {_COUNTED}
            ) m
        ) as unread
        from (
            select {COLUMNS}
            from messaging.participants p
            cross join lateral (
                select o.* from messaging.conversations o
                where o.org_id = p.org_id and o.id = p.conversation_id offset 0
            ) c
            where p.org_id = $1 and p.principal_id = $2 and p.state in ('joined', 'invited')
                and ($3::text is null or c.kind = $3) and (c.archived_at is not null) = $4
                and ($5::timestamptz is null or (c.last_at, c.id) < ($5, $6))
            order by c.last_at desc, c.id desc limit $7
        ) c
        order by c.last_at desc, c.id desc
        """,  # noqa: S608 - the parts are constants
        db.org_id,
        principal_id,
        at.kind,
        at.archived,
        at.last_at,
        at.id,
        limit,
    )
    return [_mine(row) for row in rows]


def _mine(row: _MineRow) -> MyConversation:
    invited = row.state == "invited"
    return MyConversation(
        conversation=row.conversation,
        role=row.role,  # type: ignore[arg-type] # its table holds no other
        read_seq=row.read_seq or 0,
        unread=0 if invited else row.unread,
        invited=invited,
    )


async def channels(
    db: Tenant, principal_id: UUID, begins: str, after: UUID | None, limit: int
) -> list[Conversation]:
    """Channels that are open to the org, but for who is banned, and whose names begin like this, by name."""
    rows = await db.rows(
        ConversationRow,
        """
        select c.id, c.org_id, c.kind, c.name, c.topic, c.visibility, c.data_class, c.created_by, c.created_at, c.head_seq,
            c.last_at, c.responsible_id, c.kept_from, c.retention_days, c.archived_at, c.first_id, c.second_id
        from messaging.conversations c
        where c.org_id = $1 and c.kind = 'channel' and c.visibility = 'org' and c.archived_at is null
            and starts_with(lower(c.name), $2)
            and not exists (
                select from messaging.participants p
                where p.org_id = $1 and p.conversation_id = c.id and p.principal_id = $5 and p.state = 'banned'
            )
            and ($3::uuid is null or (lower(c.name) collate "C", c.id) > (
                select lower(l.name) collate "C", l.id from messaging.conversations l where l.org_id = $1 and l.id = $3
            ))
        order by lower(c.name) collate "C", c.id limit $4
        """,
        db.org_id,
        begins,
        after,
        limit,
        principal_id,
    )
    return [row.conversation for row in rows]


async def of_principal(tx: Transaction, principal_id: UUID) -> list[UUID]:
    """All that somebody takes part in or is invited to."""
    return await tx.rows(
        UUID,
        """
        select p.conversation_id from messaging.participants p
        where p.org_id = $1 and p.principal_id = $2 and p.state in ('joined', 'invited') order by p.conversation_id
        """,
        tx.org_id,
        principal_id,
    )


def changed(conversation: Conversation, request: messaging.ChangeConversation, at: datetime) -> Conversation:
    """What a conversation is after a request; equal when it says nothing new."""
    named = {
        name: value
        for name in ("name", "topic", "visibility", "data_class", "retention_days")
        if (value := getattr(request, name)) is not None
    }
    archived_at = conversation.archived_at
    if request.archived is not None:
        archived_at = (archived_at or at) if request.archived else None
    return msgspec.structs.replace(conversation, archived_at=archived_at, **named)


async def locked(tx: Transaction, conversation_ids: list[UUID]) -> list[ConversationRow]:
    """Conversations that this transaction has locked."""
    return await tx.rows(
        ConversationRow,
        """
        select c.id, c.org_id, c.kind, c.name, c.topic, c.visibility, c.data_class, c.created_by, c.created_at, c.head_seq,
            c.last_at, c.responsible_id, c.kept_from, c.retention_days, c.archived_at, c.first_id, c.second_id
        from messaging.conversations c where c.org_id = $1 and c.id = any($2::uuid[]) order by c.id
        """,
        tx.org_id,
        conversation_ids,
    )
