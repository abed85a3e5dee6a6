"""Rows of participants, and the entries that their changes are."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from polis.proto import Refused, messaging
from polis.proto.messaging import ConversationFull, Participant, ParticipantChanged

if TYPE_CHECKING:
    from polis.db import Tenant, Transaction
    from polis.messaging.conversations.turn import Turn
    from polis.proto.messaging import ParticipantState

MOST = {"direct": 2, "group": 1_000, "channel": 10_000, "agents": 50}
"""Who may take part in a conversation of each kind, invited or joined."""
_COLUMNS = "p.principal_id, p.kind, p.role, p.state, p.since, p.by_id, p.muted_until"
_FIND = f"""
    select {_COLUMNS} from messaging.participants p
    where p.org_id = $1 and p.conversation_id = $2 and p.principal_id = $3
"""  # noqa: S608 - the parts are constants
_PAGE = f"""
    select {_COLUMNS} from messaging.participants p
    where p.org_id = $1 and p.conversation_id = $2 and p.principal_id > $3
        and (p.state in ('joined', 'invited') or ($4 and p.state = 'banned'))
    order by p.principal_id limit $5
"""  # noqa: S608 - the parts are constants
_HEIR = f"""
    select {_COLUMNS} from messaging.participants p
    where p.org_id = $1 and p.conversation_id = $2 and p.state = 'joined' and p.role in ('owner', 'admin', 'member')
    order by p.principal_id = $3, array_position(array['owner', 'admin', 'member'], p.role), p.since, p.principal_id limit 1
"""  # noqa: S608 - the parts are constants
FIRST = UUID(int=0)


async def get(db: Tenant | Transaction, conversation_id: UUID, principal_id: UUID) -> Participant | None:
    return await db.row(Participant, _FIND, db.org_id, conversation_id, principal_id)


async def page(
    db: Tenant | Transaction, conversation_id: UUID, *, after: UUID, banned: bool, limit: int
) -> list[Participant]:
    return await db.rows(Participant, _PAGE, db.org_id, conversation_id, after, banned, limit)


async def demand_room(tx: Transaction, conversation_id: UUID, kind: str, more: int = 1) -> None:
    """Refused(ConversationFull) when so many more do not fit in."""
    there = await tx.value(
        """
        select count(*) from messaging.participants p
        where p.org_id = $1 and p.conversation_id = $2 and p.state in ('joined', 'invited')
        """,
        tx.org_id,
        conversation_id,
    )
    if there + more > MOST[kind]:
        raise Refused(ConversationFull(what="participants", most=MOST[kind]))


async def put(turn: Turn, *changed: Participant) -> None:
    """Let somebody be this from now on: entries, events and rows of one turn."""
    tx, row = turn.tx, turn.row
    for one in changed:
        seq = turn.add("participant", participant=one)
        await tx.emit(
            ParticipantChanged(
                row.org_id, row.id, seq, one.principal_id, one.role, one.state, by=turn.actor_id
            )
        )
    await tx.execute(
        """
        insert into messaging.participants as p
            (org_id, conversation_id, principal_id, kind, role, state, since, by_id, muted_until, read_seq, delivered_seq)
        select $1, $2, n.principal_id, n.kind, n.role, n.state, n.since, n.by_id, n.muted_until, $10, $10
        from unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::uuid[], $9::timestamptz[])
            as n (principal_id, kind, role, state, since, by_id, muted_until)
        on conflict (org_id, conversation_id, principal_id) do update set kind = excluded.kind, role = excluded.role,
            state = excluded.state, since = excluded.since, by_id = excluded.by_id, muted_until = excluded.muted_until,
            guest = case when p.state = excluded.state then p.guest end
        """,
        row.org_id,
        row.id,
        [one.principal_id for one in changed],
        [one.kind for one in changed],
        [one.role for one in changed],
        [one.state for one in changed],
        [one.since for one in changed],
        [one.by_id for one in changed],
        [one.muted_until for one in changed],
        # Who comes later has not missed what was said before.
        row.head_seq,
    )


async def end(turn: Turn, participant: Participant, state: ParticipantState) -> Participant:
    """Let somebody take part no more: `left`, `removed` or `banned`. When no owner is left, the next one owns it.

    Who is muted stays so, and who only looks on: otherwise leaving and coming back would end it.
    """
    ended = msgspec.structs.replace(
        participant,
        state=state,
        role="observer" if participant.role == "observer" else "member",
        since=turn.at,
        by_id=turn.actor_id,
    )
    await put(turn, ended)
    if participant.state == "joined" and participant.role == "owner":
        await succeed(turn, ended)
    return ended


async def succeed(turn: Turn, former: Participant) -> None:
    """Let somebody else own it when no owner is left; who did does so again where nobody else can."""
    next_one = await heir(turn.tx, turn.row.id, former.principal_id)
    if next_one is not None and next_one.role != "owner":
        await put(turn, msgspec.structs.replace(next_one, role="owner"))


async def heir(tx: Transaction, conversation_id: UUID, last: UUID = FIRST) -> Participant | None:
    """Who owns a conversation, or would: the first of its owners, admins and members who have joined; `last` behind all others."""
    return await tx.row(Participant, _HEIR, tx.org_id, conversation_id, last)


def found(participant: Participant | None, principal_id: UUID) -> Participant:
    """Refused(ParticipantNotFound) for nobody."""
    if participant is None:
        raise Refused(messaging.ParticipantNotFound(principal_id=principal_id))
    return participant
