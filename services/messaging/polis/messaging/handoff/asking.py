"""A handoff that waits is an ask in the inboxes of those who may claim it, and their answer claims or declines it.

Both ways by events, so a service that is away delays them and loses none. What holds is the handoff; the ask follows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from polis.messaging import access
from polis.messaging.conversations import rows as conversations
from polis.messaging.conversations.turn import Turn
from polis.messaging.handoff import passing, rows
from polis.messaging.own import Own
from polis.proto import Refused, messaging, runtime
from polis.proto.identity import GetStanding, PrincipalNotFound
from polis.service import EventContext, Handlers

if TYPE_CHECKING:
    from uuid import UUID

    from polis.proto.messaging import Handoff

handlers = Handlers()
_LATE = (
    messaging.HandoffEnded,
    messaging.BannedFromConversation,
    messaging.ConversationFull,
    PrincipalNotFound,
)
"""Why an answer may have no effect any more."""


@handlers.on(messaging.HandoffChanged)
async def keep_ask(event: messaging.HandoffChanged, ctx: EventContext[Own]) -> None:
    if event.state != "waiting":
        await ctx.call(runtime.WithdrawHandoff(event.org_id, event.handoff_id))
        return
    handoff = await rows.get(ctx.tx, event.handoff_id)
    if handoff is not None and handoff.state == "waiting":
        await _ask(handoff, ctx)


async def _ask(handoff: Handoff, ctx: EventContext[Own]) -> None:
    asked = runtime.AskForHandoff(
        handoff.org_id,
        handoff.id,
        handoff.conversation_id,
        by=handoff.by,
        to=handoff.to,
        reason=handoff.reason,
        summary=handoff.summary,
    )
    await ctx.call(asked)


@handlers.on(runtime.AskAnswered)
async def heed_answer(event: runtime.AskAnswered, ctx: EventContext[Own]) -> None:
    handoff = await rows.get(ctx.tx, event.run_id) if event.kind == "handoff" else None
    if handoff is None or event.by is None:
        return
    try:
        await _heed(handoff, event.by, event.decision, ctx)
    except Refused as refusal:
        if not isinstance(refusal.problem, _LATE):
            raise


async def _heed(handoff: Handoff, by: UUID, decision: str, ctx: EventContext[Own]) -> None:
    tx = ctx.tx
    standing = await ctx.call(GetStanding(handoff.org_id, by, access.READ))
    if not {access.READ, access.WRITE} <= set(standing.scopes):
        return  # who may answer asks, and take part in no conversation
    await access.lock_rows(tx, handoff.org_id, [handoff.conversation_id])
    [row] = await conversations.locked(tx, [handoff.conversation_id])
    # Whoever changes a handoff holds its conversation.
    now = await rows.get(tx, handoff.id) or handoff
    turn = Turn(tx, ctx.own.telling, row, actor_id=by, at=ctx.now())
    if decision == "done":
        await passing.claim(turn, now, by, standing.kind)
    else:
        await passing.decline(turn, now)
    await turn.close()
