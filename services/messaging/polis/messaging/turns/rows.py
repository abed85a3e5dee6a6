"""Rows of turns and claims, and what posting sees of them: the conversation's own columns."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.messaging.turns.rules import Talk
from polis.proto.messaging import AnswerTurn, TurnClaim

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polis.db import Tenant, Transaction


class Answer(Struct, frozen=True):
    """What answers a turn."""

    org_id: UUID
    conversation_id: UUID
    seq: int
    answer_seq: int


class _TurnRow(Struct, frozen=True):
    conversation_id: UUID
    seq: int
    state: str
    opened_at: datetime
    due_at: datetime | None
    holder_id: UUID | None
    answer_seq: int | None


async def get(db: Tenant | Transaction, conversation_id: UUID, seq: int) -> AnswerTurn | None:
    row = await db.row(
        _TurnRow,
        """
        select t.conversation_id, t.seq, t.state, t.opened_at, t.due_at, t.holder_id, t.answer_seq from messaging.turns t
        where t.org_id = $1 and t.conversation_id = $2 and t.seq = $3
        """,
        db.org_id,
        conversation_id,
        seq,
    )
    if row is None:
        return None
    claims = await db.rows(
        TurnClaim,
        """
        select c.principal_id, c.claims, c.confidence, c.justification, c.at, c.expired from messaging.turn_claims c
        where c.org_id = $1 and c.conversation_id = $2 and c.seq = $3 order by c.at, c.principal_id
        """,
        db.org_id,
        conversation_id,
        seq,
    )
    return AnswerTurn(
        row.conversation_id,
        row.seq,
        row.state,  # type: ignore[arg-type] # its table holds no other
        row.opened_at,
        tuple(claims),
        row.due_at,
        row.holder_id,
        row.answer_seq,
    )


async def put(tx: Transaction, turn: AnswerTurn, *, shown: bool = True) -> None:
    """Store where a turn stands; shown: and have posts heed it."""
    await tx.execute(
        """
        insert into messaging.turns as t (org_id, conversation_id, seq, state, opened_at, due_at, holder_id)
        values ($1, $2, $3, $4, $5, $6, $7)
        on conflict (org_id, conversation_id, seq) do update set state = excluded.state, due_at = excluded.due_at,
            holder_id = excluded.holder_id
        """,
        tx.org_id,
        turn.conversation_id,
        turn.message_seq,
        turn.state,
        turn.opened_at,
        turn.due_at,
        turn.holder_id,
    )
    if not shown:
        return
    await tx.execute(
        """
        update messaging.conversations set turn_seq = $3, turn_holder_id = $4, turn_until = $5
        where org_id = $1 and id = $2
        """,
        tx.org_id,
        turn.conversation_id,
        turn.message_seq,
        turn.holder_id,
        turn.due_at,
    )


async def say(tx: Transaction, turn: AnswerTurn, claim: TurnClaim) -> AnswerTurn:
    """Add what an agent says of a turn, or what became of its claim."""
    await tx.execute(
        """
        insert into messaging.turn_claims
            (org_id, conversation_id, seq, principal_id, claims, confidence, justification, at, expired)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        on conflict (org_id, conversation_id, seq, principal_id) do update set expired = excluded.expired
        """,
        tx.org_id,
        turn.conversation_id,
        turn.message_seq,
        claim.principal_id,
        claim.claims,
        claim.confidence,
        claim.justification,
        claim.at,
        claim.expired,
    )
    others = tuple(each for each in turn.claims if each.principal_id != claim.principal_id)
    return msgspec.structs.replace(turn, claims=(*others, claim))


async def give_up(tx: Transaction, conversation_id: UUID, principal_id: UUID) -> None:
    """Let a turn be due at once whose holder may say nothing any more."""
    await tx.execute(
        """
        update messaging.turns t set due_at = clock_timestamp()
        from messaging.conversations c
        where c.org_id = $1 and c.id = $2 and c.turn_holder_id = $3
            and t.org_id = c.org_id and t.conversation_id = c.id and t.seq = c.turn_seq and t.state = 'held'
        """,
        tx.org_id,
        conversation_id,
        principal_id,
    )


async def of_speakers(tx: Transaction, turn: AnswerTurn, now: datetime) -> list[TurnClaim]:
    """The claims of those who may say something in the conversation by now."""
    speakers = await tx.rows(
        UUID,
        """
        select p.principal_id from messaging.participants p
        where p.org_id = $1 and p.conversation_id = $2 and p.principal_id = any($3::uuid[]) and p.state = 'joined'
            and p.role <> 'observer' and (p.muted_until is null or p.muted_until <= $4)
        order by p.principal_id
        """,
        tx.org_id,
        turn.conversation_id,
        [claim.principal_id for claim in turn.claims],
        now,
    )
    return [claim for claim in turn.claims if claim.principal_id in speakers]


async def speaks(tx: Transaction, turn: AnswerTurn) -> bool:
    """Whether the holder of a turn is saying something, as a stream."""
    return bool(
        await tx.value(
            """
            select true from messaging.streams s
            where s.org_id = $1 and s.conversation_id = $2 and s.producer_id = $3 and s.state in ('open', 'paused') limit 1
            """,
            tx.org_id,
            turn.conversation_id,
            turn.holder_id,
        )
    )


async def talk(tx: Transaction, conversation_id: UUID) -> Talk:
    """What agents have said, and whose turn it is, in a locked conversation."""
    found = await tx.row(
        Talk,
        """
        select c.talk_last_id as last_id, c.talk_turns as turns, c.talk_characters as characters, c.turn_seq,
            c.turn_holder_id as holder_id, c.turn_until as until
        from messaging.conversations c where c.org_id = $1 and c.id = $2
        """,
        tx.org_id,
        conversation_id,
    )
    if found is None:
        raise LookupError("the conversation is locked and not there")
    return found


async def answered(tx: Transaction, answers: Sequence[Answer]) -> None:
    """Turns that their holders have answered."""
    await tx.execute(
        """
        update messaging.turns t set state = 'answered', due_at = null, answer_seq = a.answer_seq
        from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[]) as a (org_id, conversation_id, seq, answer_seq)
        where t.org_id = a.org_id and t.conversation_id = a.conversation_id and t.seq = a.seq and t.state = 'held'
        """,
        [each.org_id for each in answers],
        [each.conversation_id for each in answers],
        [each.seq for each in answers],
        [each.answer_seq for each in answers],
    )


async def others(tx: Transaction, conversation_id: UUID, sender_id: UUID) -> int:
    """How many agents could answer somebody."""
    return int(
        await tx.value(
            """
            select count(*) from messaging.participants p
            where p.org_id = $1 and p.conversation_id = $2 and p.state = 'joined' and p.role <> 'observer'
                and p.kind <> 'user' and p.principal_id <> $3
            """,
            tx.org_id,
            conversation_id,
            sender_id,
        )
    )
