"""A turn in a conversation: what happens in one transaction takes the next numbers, and is told once it has committed."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from polis.proto.messaging import Entry

if TYPE_CHECKING:
    from datetime import datetime

    from polis.db import Transaction
    from polis.messaging.access import ConversationRow
    from polis.messaging.telling import Telling
    from polis.proto.messaging import (
        AnswerTurn,
        Controlled,
        Conversation,
        EntryKind,
        Handoff,
        Message,
        Participant,
    )


class Turn:
    """Entries of a locked conversation, by one actor at one moment. `close` writes them; nothing is told if that fails."""

    def __init__(
        self, tx: Transaction, telling: Telling, row: ConversationRow, *, actor_id: UUID, at: datetime
    ) -> None:
        self.tx = tx
        self.at = at
        self.actor_id = actor_id
        self.row = row
        self.head = row.head_seq
        self.responsible_id = row.responsible_id
        self._telling = telling
        self._entries: list[Entry] = []

    def add(
        self,
        kind: EntryKind,
        *,
        message: Message | None = None,
        participant: Participant | None = None,
        conversation: Conversation | None = None,
        handoff: Handoff | None = None,
        control: Controlled | None = None,
        turn: AnswerTurn | None = None,
    ) -> int:
        """The number of what happened."""
        self.head += 1
        if conversation is not None:
            conversation = msgspec.structs.replace(
                conversation, head_seq=self.head, last_at=self.at, responsible_id=self.responsible_id
            )
        self._entries.append(
            Entry(
                self.head,
                self.at,
                kind,
                self.actor_id,
                message,
                participant,
                conversation,
                handoff,
                control,
                turn,
            )
        )
        return self.head

    async def close(self) -> None:
        if not self._entries:
            return
        entries, row = self._entries, self.row
        await self.tx.execute(
            "update messaging.conversations set head_seq = $3, last_at = $4 where org_id = $1 and id = $2",
            row.org_id,
            row.id,
            self.head,
            self.at,
        )
        await self.tx.execute(
            """
            insert into messaging.entries (org_id, conversation_id, seq, at, kind, actor_id, message_seq, body)
            select $1, $2, e.seq, $3, e.kind, $4, e.message_seq, e.body
            from unnest($5::bigint[], $6::text[], $7::bigint[], $8::text[]) as e (seq, kind, message_seq, body)
            """,
            row.org_id,
            row.id,
            self.at,
            self.actor_id,
            [entry.seq for entry in entries],
            [entry.kind for entry in entries],
            [None if entry.message is None else entry.message.seq for entry in entries],
            [_body(entry) for entry in entries],
        )
        self.tx.after_commit(lambda: self._telling.entries(row.org_id, row.id, entries))


def _body(entry: Entry) -> str | None:
    told = entry.participant or entry.conversation or entry.handoff or entry.control or entry.turn
    return None if told is None else msgspec.json.encode(told).decode()
