"""Routing a conversation, and handing it over: what may follow what. All of it within a turn, so in one transaction.

Who is responsible changes here and when the responsible one goes, and nowhere else. A claimed handoff is always that of who
is responsible.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from polis.db import new_id
from polis.messaging.access import STEERING
from polis.messaging.handoff import responsible, rows
from polis.proto import Refused
from polis.proto.messaging import Handoff, HandoffChanged, HandoffEnded, HandoffWaits
from polis.proto.problems import Forbidden

if TYPE_CHECKING:
    from uuid import UUID

    from polis.db import Transaction
    from polis.messaging.access import ConversationRow
    from polis.messaging.conversations.turn import Turn
    from polis.proto.identity import PrincipalKind
    from polis.proto.messaging import HandoffState
    from polis.proto.runtime import Addressee


class Wanted(msgspec.Struct, frozen=True):
    """What a handoff is asked to be."""

    to: Addressee
    reason: str
    summary: str = ""
    timeout_s: float = 86_400
    held_s: float | None = None


def demand_steering(row: ConversationRow, principal_id: UUID) -> None:
    """Refused(Forbidden) unless somebody may say who answers for a conversation: who does, who manages it, either of two."""
    row.demand_joined()
    if not (row.manages or row.kind == "direct" or row.responsible_id == principal_id):
        raise Refused(Forbidden(scope=STEERING))


async def route(turn: Turn, principal_id: UUID, kind: PrincipalKind) -> None:
    """Let somebody of the org answer for a conversation from now on; what was handed over before that is over.

    Refused(BannedFromConversation | ConversationFull).
    """
    await responsible.pass_to(turn, principal_id, kind)
    for handoff in await rows.active(turn.tx, turn.row.id):
        await _end(turn, handoff, "passed")


async def is_routed(tx: Transaction, row: ConversationRow, principal_id: UUID) -> bool:
    """Whether routing a locked conversation to somebody would change nothing."""
    return (
        row.archived_at is None and row.responsible_id == principal_id and not await rows.active(tx, row.id)
    )


async def hand_off(turn: Turn, wanted: Wanted) -> Handoff:
    """Have a conversation wait for somebody to claim it. Refused(HandoffWaits) when it does already."""
    row = turn.row
    for handoff in await rows.active(turn.tx, row.id):
        if handoff.state == "waiting":
            raise Refused(HandoffWaits(handoff_id=handoff.id))
    begun = Handoff(
        id=new_id(),
        org_id=row.org_id,
        conversation_id=row.id,
        state="waiting",
        to=wanted.to,
        from_id=turn.responsible_id,
        by=turn.actor_id,
        reason=wanted.reason,
        summary=wanted.summary,
        created_at=turn.at,
        due_at=turn.at + timedelta(seconds=wanted.timeout_s),
        held_s=wanted.held_s,
    )
    return await _tell(turn, begun)


async def claim(turn: Turn, handoff: Handoff, principal_id: UUID, kind: PrincipalKind) -> Handoff:
    """Let somebody take over what waits; once more changes nothing. Refused(HandoffEnded) when it does not wait."""
    if handoff.state == "claimed" and handoff.claimed_by == principal_id:
        return handoff
    _demand(handoff, "waiting")
    before = turn.responsible_id
    # It may refuse, so nothing is written before.
    await responsible.pass_to(turn, principal_id, kind)
    for other in await rows.active(turn.tx, turn.row.id):
        if other.state == "claimed":
            await _end(turn, other, "passed")
    claimed = msgspec.structs.replace(
        handoff,
        state="claimed",
        from_id=before,
        due_at=None if handoff.held_s is None else turn.at + timedelta(seconds=handoff.held_s),
        claimed_by=principal_id,
        claimed_at=turn.at,
    )
    return await _tell(turn, claimed)


async def give_back(turn: Turn, handoff: Handoff, note: str = "", *, timed: bool = False) -> Handoff:
    """Let whom a claimed conversation came from answer for it again, or who owns it where that one is gone."""
    _demand(handoff, "claimed")
    back = await responsible.heir(turn, handoff.from_id)
    returned = await _end(turn, handoff, "returned", note, timed=timed)
    if back is not None:
        await responsible.pass_to(turn, back.principal_id, back.kind)
    return returned


async def decline(turn: Turn, handoff: Handoff, note: str = "") -> Handoff:
    _demand(handoff, "waiting")
    return await _end(turn, handoff, "declined", note)


async def cancel(turn: Turn, handoff: Handoff) -> Handoff:
    _demand(handoff, "waiting")
    return await _end(turn, handoff, "cancelled")


async def expire(turn: Turn, handoff: Handoff) -> Handoff:
    """Do what time does to a handoff that is due."""
    if handoff.state == "claimed":
        return await give_back(turn, handoff, timed=True)
    return await _end(turn, handoff, "expired", timed=True)


async def gone(turn: Turn, principal_id: UUID, other: UUID | None = None) -> None:
    """Somebody takes part no more: if that one was responsible, who it came from is, else the other of two, else who owns it."""
    if turn.responsible_id != principal_id:
        return
    held = [each for each in await rows.active(turn.tx, turn.row.id) if each.state == "claimed"]
    for handoff in held:
        await _end(turn, handoff, "returned", timed=True)
    back = await responsible.heir(turn, *(handoff.from_id for handoff in held), other)
    if back is not None:
        await responsible.pass_to(turn, back.principal_id, back.kind)


def _demand(handoff: Handoff, state: HandoffState) -> None:
    if handoff.state != state:
        raise Refused(HandoffEnded(state=handoff.state))


async def _end(
    turn: Turn, handoff: Handoff, state: HandoffState, note: str = "", *, timed: bool = False
) -> Handoff:
    ended = msgspec.structs.replace(handoff, state=state, due_at=None, ended_at=turn.at, note=note)
    return await _tell(turn, ended, timed=timed)


async def _tell(turn: Turn, handoff: Handoff, *, timed: bool = False) -> Handoff:
    seq = turn.add("handoff", handoff=handoff)
    await rows.put(turn.tx, handoff, seq)
    await turn.tx.emit(
        HandoffChanged(
            handoff.org_id,
            handoff.conversation_id,
            seq,
            handoff.id,
            handoff.state,
            at=turn.at,
            to=handoff.to,
            by=None if timed else turn.actor_id,
        )
    )
    return handoff
