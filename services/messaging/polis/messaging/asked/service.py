"""Puts asks into conversations, as whoever asks, and takes replies to them for answers, as whoever replies.

What is asked, who may answer and what fits is the runtime's to say. Messaging has the words of a reply, and the token of who said them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.db import Caller
from polis.messaging.access import WRITE
from polis.messaging.asked import words
from polis.messaging.messages.posting import post_of
from polis.messaging.own import Own
from polis.proto import Refused, messaging, runtime
from polis.proto.identity import GetStanding, PrincipalNotFound
from polis.proto.messaging import Message
from polis.proto.problems import Forbidden
from polis.service import Context, EventContext, Handlers
from polis.telemetry import log

if TYPE_CHECKING:
    from polis.db import Transaction
    from polis.proto.messaging import Posted

handlers = Handlers()
_UNKNOWN = datetime(1970, 1, 1, tzinfo=UTC)


class AskedRow(Struct, frozen=True):
    """A message by which something is asked."""

    ask_id: UUID
    sender_id: UUID


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
        _UNKNOWN,
        words.text_of(shown),
        (words.part_of(event.ask_id, shown),),
        client_id=f"ask:{event.ask_id}",
    )
    await _put(ctx.tx, ctx.own, event.ask_id, message)


async def heed(request: messaging.PostMessage, posted: Posted, ctx: Context[Own]) -> None:
    """Answer the ask that a message replies to, if it is one; and say so, or why not, by a reply of whoever asked."""
    asked = await _asked(ctx, request)
    if asked is None:
        return
    sender = ctx.actor.principal_id
    try:
        shown = await ctx.call(
            runtime.DescribeAskInTalk(ctx.actor.org_id, asked.ask_id, sender), as_service=True
        )
        said = words.understood(shown, request.text, request.parts)
        if said is None and not shown.mine:
            return  # somebody else talks about it
        text = await _answered(asked.ask_id, said, ctx) if said is not None else words.unclear(shown)
    except Refused as refusal:
        text = _why_not(refusal)
    reply = Message(
        request.conversation_id,
        0,
        asked.sender_id,
        _UNKNOWN,
        text,
        reply_to=posted.seq,
        client_id=f"ask:{asked.ask_id}:{posted.seq}",
    )
    async with ctx.own.database.transaction([ctx.actor.org_id], deadline=ctx.deadline) as tx:
        await _put(tx, ctx.own, asked.ask_id, reply)


async def _answered(ask_id: UUID, said: words.Said, ctx: Context[Own]) -> str:
    answer = runtime.AnswerAskInTalk(ask_id, said.decision, said.value, said.note)
    ask = await ctx.call(answer)
    counted = "Your vote is counted" if ask.state == "open" else "Answered"
    return f"{counted}: `{said.decision}`."


def _why_not(refusal: Refused) -> str:
    match refusal.problem:
        case runtime.AskNotFound() | runtime.NotAddressed() | Forbidden():
            return "This is not yours to answer."
        case runtime.AskEnded(state):
            return f"This needs no answer any more: it is {state}."
        case runtime.AlreadyVoted(decision):
            return f"You have voted already: `{decision}`."
        case runtime.AnswerInvalid(faults):
            told = "; ".join(f"{fault.pointer or '/'}: {fault.detail}" for fault in faults[:10])
            return f"This answer does not fit. {told}"[:2_000]
    log.warning("ask.not_answered", problem=refusal.problem.type)
    return "This could not be answered just now. Say it again."


async def _asked(ctx: Context[Own], request: messaging.PostMessage) -> AskedRow | None:
    to = request.reply_to or request.thread
    if to is None:
        return None
    return await ctx.db.row(
        AskedRow,
        # Who asks could make another question of it, behind an answer's back: one that was edited is none any more.
        """
        select a.ask_id, a.sender_id from messaging.asked a
        join messaging.messages m on m.org_id = a.org_id and m.conversation_id = a.conversation_id and m.seq = a.seq
        where a.org_id = $1 and a.conversation_id = $2 and a.seq = $3 and m.revision = 1 and m.deleted_at is null
        """,
        ctx.actor.org_id,
        request.conversation_id,
        to,
    )


async def _put(tx: Transaction, own: Own, ask_id: UUID, message: Message) -> None:
    """Post it, and have replies to it be answers. Who asks and may not speak there asks elsewhere alone."""
    org_id, conversation_id = tx.org_id, message.conversation_id
    [posted] = await own.posting.write(tx, [Caller.here(org_id)], [post_of(org_id, message)])
    if isinstance(posted, Refused):
        log.info("ask.not_put", problem=posted.problem.type)
        return
    await tx.execute(
        """
        insert into messaging.asked (org_id, conversation_id, seq, ask_id, sender_id) values ($1, $2, $3, $4, $5)
        on conflict (org_id, conversation_id, seq) do nothing
        """,
        org_id,
        conversation_id,
        posted.seq,
        ask_id,
        message.sender_id,
    )
    tx.after_commit(lambda: own.indexer.heed(org_id, conversation_id))


async def _may_write(ctx: EventContext[Own], org_id: UUID, principal_ids: set[UUID]) -> bool:
    """Whether all of these may write messages: a run does what both may, whom it acts as and who started it."""
    try:
        standings = [await ctx.call(GetStanding(org_id, each, WRITE)) for each in principal_ids]
    except Refused as refusal:
        if isinstance(refusal.problem, PrincipalNotFound):
            return False
        raise
    return all(WRITE in standing.scopes for standing in standings)
