"""Replies to asks: which message is one, that it is to be answered, and what whoever replied is told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from msgspec import Struct

from polis.db import Caller
from polis.messaging.asked import words
from polis.messaging.messages.posting import post_of
from polis.proto import Refused, runtime
from polis.proto.messaging import Message
from polis.proto.problems import Forbidden
from polis.telemetry import log

if TYPE_CHECKING:
    from polis.db import Transaction
    from polis.messaging.own import Own
    from polis.proto import messaging
    from polis.proto.messaging import Posted
    from polis.service import Context

ANSWERED_WITHIN_S = 30.0
"""A reply that nobody has settled by then is one of a process that died."""
UNKNOWN = datetime(1970, 1, 1, tzinfo=UTC)

Reply = tuple[UUID, int]
"""A message, by conversation and number."""


class AskedRow(Struct, frozen=True):
    """A message by which something is asked."""

    ask_id: UUID
    sender_id: UUID


async def asked_by(ctx: Context[Any], request: messaging.PostMessage) -> AskedRow | None:
    """The ask that a message replies to, if it is one."""
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


async def begin(tx: Transaction, asked: AskedRow, posted: Posted) -> None:
    """In the transaction of a reply: it is to be answered, by somebody else if this process dies before."""
    await tx.execute(
        """
        insert into messaging.asked_replies (org_id, conversation_id, seq, ask_id, asker_id, due_at)
        values ($1, $2, $3, $4, $5, clock_timestamp() + make_interval(secs => $6))
        on conflict (org_id, conversation_id, seq) do nothing
        """,
        tx.org_id,
        posted.conversation_id,
        posted.seq,
        asked.ask_id,
        asked.sender_id,
        ANSWERED_WITHIN_S,
    )


async def say(tx: Transaction, own: Own, asked: AskedRow, to: Reply, text: str) -> None:
    """Tell what came of a reply: once, whoever does it how often."""
    conversation_id, seq = to
    name = f"ask:{asked.ask_id}:{seq}"
    reply = Message(conversation_id, 0, asked.sender_id, UNKNOWN, text, reply_to=seq, client_id=name)
    await put(tx, own, asked.ask_id, reply)


async def settled(tx: Transaction, reply: Reply) -> None:
    await tx.execute(
        "delete from messaging.asked_replies where org_id = $1 and conversation_id = $2 and seq = $3",
        tx.org_id,
        *reply,
    )


async def put(tx: Transaction, own: Own, ask_id: UUID, message: Message) -> None:
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


def why_not(refusal: Refused) -> str:
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
    return words.AGAIN
