"""Answers about turns: claimed, deferred, read."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from polis.messaging import access
from polis.messaging.conversations.turn import Turn
from polis.messaging.messages import changes
from polis.messaging.messages import rows as messages
from polis.messaging.own import Own
from polis.messaging.turns import deciding, rows
from polis.messaging.turns.rules import PERSON
from polis.proto import Refused, messaging
from polis.proto.messaging import AnswerTurn, ConversationFull, NotYourTurn, TurnClaim, TurnNotFound
from polis.proto.problems import Fault, Forbidden, Invalid
from polis.service import Context, Handlers

if TYPE_CHECKING:
    from polis.db import Transaction
    from polis.messaging.access import ConversationRow
    from polis.messaging.turns.rules import Talk
    from polis.proto.messaging import Message

handlers = Handlers()
AGENT = "conversation:agent"
"""What a person lacks, who just speaks."""
_MOST = 64
"""Claims of one message."""


@handlers.handles(messaging.ClaimTurn)
async def claim_turn(request: messaging.ClaimTurn, ctx: Context[Own]) -> AnswerTurn:
    claim = _claim(ctx, request.justification, request.confidence, claims=True)
    turn = await _said(request, ctx, claim)
    if turn.state != "open" or turn.due_at is None:
        return turn
    await asyncio.sleep(max(0.0, (turn.due_at - datetime.now(UTC)).total_seconds()))
    return await _decided(turn, ctx)


@handlers.handles(messaging.DeferTurn)
async def defer_turn(request: messaging.DeferTurn, ctx: Context[Own]) -> AnswerTurn:
    return await _said(request, ctx, _claim(ctx, request.justification, 0.0, claims=False))


@handlers.handles(messaging.GetTurn)
async def get_turn(request: messaging.GetTurn, ctx: Context[Own]) -> AnswerTurn:
    row = await access.see(ctx, request.conversation_id)
    turn = await rows.get(ctx.db, row.id, request.seq)
    if turn is None:
        raise Refused(TurnNotFound(message_seq=request.seq))
    return turn


async def _said(
    request: messaging.ClaimTurn | messaging.DeferTurn, ctx: Context[Own], claim: TurnClaim
) -> AnswerTurn:
    """A turn with what the caller says of it. What comes when it is decided already finds it as it is."""
    async with ctx.transaction() as tx:
        row = await access.lock(tx, ctx, request.conversation_id)
        row.demand_speaking(ctx.now())
        if ctx.actor.kind == PERSON:
            raise Refused(Forbidden(scope=AGENT))
        message = await messages.get(tx, row.id, request.seq)
        turn = await rows.get(tx, row.id, request.seq)
        if turn is None:
            turn = await _opened(tx, ctx, row, message)
        known = {each.principal_id for each in turn.claims}
        if turn.state != "open" or claim.principal_id in known:
            return turn
        if len(known) >= _MOST:
            raise Refused(ConversationFull(what="claims", most=_MOST))
        turn = await rows.say(tx, turn, claim)
        if len(turn.claims) >= await rows.others(tx, row.id, message.sender_id):
            turn = await _advanced(tx, ctx, row, turn)
        return turn


async def _opened(tx: Transaction, ctx: Context[Own], row: ConversationRow, message: Message) -> AnswerTurn:
    """A new turn. Refused while another one is under way, and when agents have talked for so long that none may go on."""
    changes.demand_there(message)
    me, now = ctx.actor.principal_id, ctx.now()
    if message.sender_id == me:
        raise Refused(Invalid(faults=(Fault("/seq", "Expected a message of somebody else"),)))
    talk = await rows.talk(tx, row.id)
    _demand_none(talk, now)
    talk.with_words_of(me, 1).demand_within(ctx.own.bounds)
    until = now + timedelta(seconds=ctx.own.config.turn_window_s)
    turn = AnswerTurn(row.id, message.seq, "open", now, due_at=until)
    await rows.put(tx, turn)
    return turn


def _demand_none(talk: Talk, now: datetime) -> None:
    if talk.until is not None and talk.until > now:
        raise Refused(NotYourTurn(message_seq=talk.turn_seq or 0, holder_id=talk.holder_id, until=talk.until))


async def _decided(turn: AnswerTurn, ctx: Context[Own]) -> AnswerTurn:
    """Where it stands once its window is over: whoever looks first decides, and all by the same claims."""
    async with ctx.own.database.transaction([ctx.actor.org_id], deadline=ctx.deadline) as tx:
        row = await access.lock_whoever(tx, ctx, turn.conversation_id)
        now = await rows.get(tx, row.id, turn.message_seq)
        if now is None or now.state != "open":
            return now or turn
        return await _advanced(tx, ctx, row, now)


async def _advanced(tx: Transaction, ctx: Context[Own], row: ConversationRow, turn: AnswerTurn) -> AnswerTurn:
    log = Turn(tx, ctx.own.telling, row, actor_id=ctx.actor.principal_id, at=ctx.now())
    turn = await deciding.advance(log, turn, ctx.own.config.turn_hold_s)
    await log.close()
    return turn


def _claim(ctx: Context[Own], justification: str, confidence: float, *, claims: bool) -> TurnClaim:
    return TurnClaim(ctx.actor.principal_id, claims, confidence, justification, ctx.now())
