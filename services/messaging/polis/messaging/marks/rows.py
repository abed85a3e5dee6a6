"""Rows of marks and drafts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polis.proto import Refused
from polis.proto.messaging import MessageDraft, MessageDraftNotFound, ReadMark

if TYPE_CHECKING:
    from uuid import UUID

    from polis.db import Tenant, Transaction


async def mark(
    tx: Transaction, conversation_id: UUID, principal_id: UUID, *, read: int, delivered: int
) -> ReadMark | None:
    """Move the marks of a participant on, never back and never beyond the last entry; None for who takes no part."""
    return await tx.row(
        ReadMark,
        """
        update messaging.participants p set read_seq = greatest(p.read_seq, least($4, c.head_seq)),
            delivered_seq = greatest(p.delivered_seq, least(greatest($4, $5), c.head_seq))
        from messaging.conversations c
        where p.org_id = $1 and p.conversation_id = $2 and p.principal_id = $3 and p.state = 'joined'
            and c.org_id = p.org_id and c.id = p.conversation_id
        returning p.principal_id, p.read_seq, p.delivered_seq
        """,
        tx.org_id,
        conversation_id,
        principal_id,
        read,
        delivered,
    )


async def page(db: Tenant, conversation_id: UUID, *, after: UUID, limit: int) -> list[ReadMark]:
    return await db.rows(
        ReadMark,
        """
        select p.principal_id, p.read_seq, p.delivered_seq from messaging.participants p
        where p.org_id = $1 and p.conversation_id = $2 and p.principal_id > $3 and p.state = 'joined'
        order by p.principal_id limit $4
        """,
        db.org_id,
        conversation_id,
        after,
        limit,
    )


async def keep(tx: Transaction, principal_id: UUID, draft: MessageDraft) -> None:
    await tx.execute(
        """
        insert into messaging.drafts as d (org_id, principal_id, conversation_id, text, reply_to, updated_at)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (org_id, principal_id, conversation_id) do update
            set text = excluded.text, reply_to = excluded.reply_to, updated_at = excluded.updated_at
        """,
        tx.org_id,
        principal_id,
        draft.conversation_id,
        draft.text,
        draft.reply_to,
        draft.updated_at,
    )


async def kept(db: Tenant, principal_id: UUID, conversation_id: UUID) -> MessageDraft:
    """Refused(MessageDraftNotFound)."""
    found = await db.row(
        MessageDraft,
        """
        select d.conversation_id, d.text, d.updated_at, d.reply_to from messaging.drafts d
        where d.org_id = $1 and d.principal_id = $2 and d.conversation_id = $3
        """,
        db.org_id,
        principal_id,
        conversation_id,
    )
    if found is None:
        raise Refused(MessageDraftNotFound(conversation_id=conversation_id))
    return found


async def drop(tx: Transaction, principal_id: UUID, conversation_id: UUID) -> None:
    await tx.execute(
        "delete from messaging.drafts where org_id = $1 and principal_id = $2 and conversation_id = $3",
        tx.org_id,
        principal_id,
        conversation_id,
    )
