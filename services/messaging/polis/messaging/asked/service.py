"""Puts asks into conversations, as whoever asks, and takes replies to them for answers, as whoever replies.

What is asked, who may answer and what fits is the runtime's to say. Messaging has the words of a reply, and the token of who said them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from polis.messaging.access import WRITE
from polis.messaging.asked import words
from polis.messaging.asked.replies import UNKNOWN, AskedRow, put, say, settled, why_not
from polis.messaging.own import Own
from polis.proto import Refused, messaging, runtime
from polis.proto.identity import GetStanding, PrincipalNotFound
from polis.proto.messaging import Message
from polis.service import Context, EventContext, Handlers

if TYPE_CHECKING:
    from polis.proto.messaging import Posted

handlers = Handlers()


@handlers.on(runtime.AskOpened)
async def put_ask(event: runtime.AskOpened, ctx: EventContext[Own]) -> None:
    if event.conversation_id is None:
        return
    shown = await ctx.call(runtime.DescribeAskInTalk(event.org_id, event.ask_id))
    if shown.state != "open" or not await _may_write(ctx, event.org_id, {shown.actor_id, shown.started_by}):
        return
    message = Message(
        event.conversation_id,
        0,
        shown.actor_id,
        UNKNOWN,
        words.text_of(shown),
        (words.part_of(event.ask_id, shown),),
        client_id=f"ask:{event.ask_id}",
    )
    await put(ctx.tx, ctx.own, event.ask_id, message)


async def heed(request: messaging.PostMessage, posted: Posted, asked: AskedRow, ctx: Context[Own]) -> None:
    """Answer the ask that a message replies to, and say so, or why not, by a reply of whoever asked."""
    text = await _heeded(request, asked, ctx)
    async with ctx.own.database.transaction([ctx.actor.org_id], deadline=ctx.deadline) as tx:
        reply = posted.conversation_id, posted.seq
        if text is not None:
            await say(tx, ctx.own, asked, reply, text)
        await settled(tx, reply)


async def _heeded(request: messaging.PostMessage, asked: AskedRow, ctx: Context[Own]) -> str | None:
    """What came of a reply; None for what somebody else says about it."""
    sender = ctx.actor.principal_id
    try:
        shown = await ctx.call(
            runtime.DescribeAskInTalk(ctx.actor.org_id, asked.ask_id, sender), as_service=True
        )
        said = words.understood(shown, request.text, request.parts)
        if said is None and not shown.mine:
            return None
        return await _answered(asked.ask_id, said, ctx) if said is not None else words.unclear(shown)
    except Refused as refusal:
        return why_not(refusal)


async def _answered(ask_id: UUID, said: words.Said, ctx: Context[Own]) -> str:
    answer = runtime.AnswerAskInTalk(ask_id, said.decision, said.value, said.note)
    ask = await ctx.call(answer)
    counted = "Your vote is counted" if ask.state == "open" else "Answered"
    return f"{counted}: `{said.decision}`."


async def _may_write(ctx: EventContext[Own], org_id: UUID, principal_ids: set[UUID]) -> bool:
    """Whether all of these may write messages: a run does what both may, whom it acts as and who started it."""
    try:
        standings = [await ctx.call(GetStanding(org_id, each, WRITE)) for each in principal_ids]
    except Refused as refusal:
        if isinstance(refusal.problem, PrincipalNotFound):
            return False
        raise
    return all(WRITE in standing.scopes for standing in standings)
