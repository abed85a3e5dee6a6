"""Rows of handoffs."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.proto.messaging import Handoff
from polis.service.addressees import addressee_of, key_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polis.db import Tenant, Transaction

_FIELDS = """
    h.id, h.org_id, h.conversation_id, h.state, h.key, h.from_id, h.by_id, h.reason, h.summary, h.created_at, h.due_at,
    h.held_s, h.claimed_by, h.claimed_at, h.ended_at, h.note
"""
_ONE = f"select {_FIELDS} from messaging.handoffs h where h.org_id = $1 and h.id = $2"  # noqa: S608 - a constant
_ACTIVE = f"""
    select {_FIELDS} from messaging.handoffs h
    where h.org_id = $1 and h.conversation_id = $2 and h.state in ('waiting', 'claimed') order by h.id
"""  # noqa: S608 - a constant
_OF_CONVERSATION = f"""
    select {_FIELDS} from messaging.handoffs h
    where h.org_id = $1 and h.conversation_id = $2 and ($3::text is null or h.state = $3) and h.id < $4
    order by h.id desc limit $5
"""  # noqa: S608 - a constant
_MINE = f"""
    select {_FIELDS} from (
        select * from (
            select h.* from messaging.handoffs h
            where h.org_id = $1 and h.state = 'waiting' and h.key = any($2::text[]) and h.id < $5
                and ($4::text is null or $4 = 'waiting')
            order by h.id desc limit $6
        ) as waiting
        union all
        select * from (
            select h.* from messaging.handoffs h
            where h.org_id = $1 and h.claimed_by = $3 and h.id < $5 and ($4::text is null or h.state = $4)
            order by h.id desc limit $6
        ) as claimed
    ) as h order by h.id desc limit $6
"""  # noqa: S608 - a constant
LAST = UUID(int=2**128 - 1)


class HandoffRow(Struct, frozen=True):
    """A handoff as it is stored."""

    id: UUID
    org_id: UUID
    conversation_id: UUID
    state: str
    key: str
    from_id: UUID
    by_id: UUID
    reason: str
    summary: str
    created_at: datetime
    due_at: datetime | None
    held_s: float | None
    claimed_by: UUID | None
    claimed_at: datetime | None
    ended_at: datetime | None
    note: str

    @property
    def handoff(self) -> Handoff:
        return Handoff(
            self.id,
            self.org_id,
            self.conversation_id,
            self.state,  # type: ignore[arg-type] # its table holds no other
            addressee_of(self.key),
            self.from_id,
            self.by_id,
            self.reason,
            self.summary,
            self.created_at,
            self.due_at,
            self.held_s,
            self.claimed_by,
            self.claimed_at,
            self.ended_at,
            self.note,
        )


async def get(db: Tenant | Transaction, handoff_id: UUID) -> Handoff | None:
    row = await db.row(HandoffRow, _ONE, db.org_id, handoff_id)
    return None if row is None else row.handoff


async def active(db: Tenant | Transaction, conversation_id: UUID) -> list[Handoff]:
    """What waits in a conversation, and what is claimed: at most one of each."""
    return [row.handoff for row in await db.rows(HandoffRow, _ACTIVE, db.org_id, conversation_id)]


async def of_conversation(
    db: Tenant, conversation_id: UUID, state: str | None, before: UUID, limit: int
) -> list[Handoff]:
    found = await db.rows(HandoffRow, _OF_CONVERSATION, db.org_id, conversation_id, state, before, limit)
    return [row.handoff for row in found]


async def mine(
    db: Tenant, keys: Sequence[str], principal_id: UUID, state: str | None, *, before: UUID, limit: int
) -> list[Handoff]:
    """What waits for one of these addressees, and what somebody has claimed."""
    found = await db.rows(HandoffRow, _MINE, db.org_id, list(keys), principal_id, state, before, limit)
    return [row.handoff for row in found]


async def put(tx: Transaction, handoff: Handoff, seq: int) -> None:
    """Store a handoff as it is after this entry."""
    await tx.execute(
        """
        insert into messaging.handoffs as h (org_id, id, conversation_id, state, key, from_id, by_id, reason, summary,
            created_at, due_at, held_s, claimed_by, claimed_at, ended_at, note, seq)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
        on conflict (org_id, id) do update set state = excluded.state, from_id = excluded.from_id, due_at = excluded.due_at,
            claimed_by = excluded.claimed_by, claimed_at = excluded.claimed_at, ended_at = excluded.ended_at,
            note = excluded.note, seq = excluded.seq
        """,
        handoff.org_id,
        handoff.id,
        handoff.conversation_id,
        handoff.state,
        key_of(handoff.to),
        handoff.from_id,
        handoff.by,
        handoff.reason,
        handoff.summary,
        handoff.created_at,
        handoff.due_at,
        handoff.held_s,
        handoff.claimed_by,
        handoff.claimed_at,
        handoff.ended_at,
        handoff.note,
        seq,
    )
