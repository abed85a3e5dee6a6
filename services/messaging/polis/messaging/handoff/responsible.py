"""Who is responsible for a conversation: always exactly one, who takes part in it; changed in a turn, as one of its entries.

Whoever becomes responsible and took no part, or only looked on, speaks for as long as that holds: as a guest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from polis.messaging.participants import rows as participants
from polis.proto import Refused
from polis.proto.messaging import BannedFromConversation, ConversationRouted, Participant

if TYPE_CHECKING:
    from uuid import UUID

    from polis.messaging.conversations.turn import Turn
    from polis.proto.identity import PrincipalKind


async def pass_to(turn: Turn, principal_id: UUID, kind: PrincipalKind) -> None:
    """Let somebody be responsible from now on. Refused(BannedFromConversation | ConversationFull)."""
    before = turn.responsible_id
    if principal_id == before:
        return
    await _bring_in(turn, principal_id, kind)
    turn.responsible_id = principal_id
    row = turn.row
    seq = turn.add("responsible", conversation=row.conversation)
    await turn.tx.execute(
        "update messaging.conversations set responsible_id = $3, responsible_from = $4 where org_id = $1 and id = $2",
        row.org_id,
        row.id,
        principal_id,
        seq,
    )
    await turn.tx.emit(ConversationRouted(row.org_id, row.id, seq, principal_id, by=turn.actor_id))
    await _let_go(turn, before)


async def heir(turn: Turn, *wanted: UUID | None) -> Participant | None:
    """The first of these who still takes part and speaks, else who owns the conversation or would; None when nobody is left."""
    for principal_id in wanted:
        there = None if principal_id is None else await participants.get(turn.tx, turn.row.id, principal_id)
        if there is not None and there.state == "joined" and there.role != "observer":
            return there
    return await participants.heir(turn.tx, turn.row.id)


async def _bring_in(turn: Turn, principal_id: UUID, kind: PrincipalKind) -> None:
    tx, row = turn.tx, turn.row
    there = await participants.get(tx, row.id, principal_id)
    if there is not None and there.state == "banned":
        raise Refused(BannedFromConversation(principal_id=principal_id))
    if there is not None and there.state == "joined":
        if there.role != "observer":
            return
        was, comes = "observer", msgspec.structs.replace(there, role="member")
    else:
        if row.kind != "direct":
            await participants.demand_room(tx, row.id, row.kind)
        was = "nobody"
        muted_until = None if there is None else there.muted_until
        comes = Participant(principal_id, kind, "member", "joined", turn.at, turn.actor_id, muted_until)
    await participants.put(turn, comes)
    await tx.execute(
        """
        update messaging.participants set guest = $4
        where org_id = $1 and conversation_id = $2 and principal_id = $3
        """,
        row.org_id,
        row.id,
        principal_id,
        was,
    )


async def _let_go(turn: Turn, principal_id: UUID) -> None:
    """Let a guest be what it was before."""
    tx, row = turn.tx, turn.row
    was = await tx.value(
        """
        select p.guest from messaging.participants p
        where p.org_id = $1 and p.conversation_id = $2 and p.principal_id = $3 and p.state = 'joined'
        """,
        row.org_id,
        row.id,
        principal_id,
    )
    there = None if was is None else await participants.get(tx, row.id, principal_id)
    if there is None:
        return
    if was == "observer":
        await participants.put(turn, msgspec.structs.replace(there, role="observer"))
    else:
        await participants.end(turn, there, "left")
