"""Answers about messages: said, read, changed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.db import Caller
from polis.messaging import access
from polis.messaging.asked import replies
from polis.messaging.asked import service as asked
from polis.messaging.conversations.turn import Turn
from polis.messaging.messages import changes, content, files, rows
from polis.messaging.messages.content import Carried
from polis.messaging.messages.posting import Post, post_of
from polis.messaging.messages.rows import Found
from polis.messaging.own import Own
from polis.proto import Page, Refused, identity, messaging
from polis.proto.messaging import MAX_SEQ, Message, Posted
from polis.proto.problems import Fault, Forbidden, Invalid, StaleCursor
from polis.service import Context, EventContext, Handlers
from polis.telemetry import trace

if TYPE_CHECKING:
    import asyncio

    from polis.db import Transaction
    from polis.messaging.access import ConversationRow
    from polis.messaging.asked.replies import AskedRow
    from polis.messaging.messages.judged import Place

handlers = Handlers()
_UNKNOWN = datetime(1970, 1, 1, tzinfo=UTC)
AUTHOR = "conversation:author"
"""What an actor lacks who would edit what somebody else said."""


class Position(Struct, frozen=True):
    """Where a list of messages goes on, and which list it is."""

    conversation_id: UUID
    which: str
    bound: int


@handlers.handles(messaging.PostMessage, promptly=True)
def post_message(request: messaging.PostMessage, ctx: Context[Own]) -> asyncio.Future[Posted]:
    said = (ctx.actor.org_id.int, ctx.actor.principal_id.int, request.conversation_id.int)
    ctx.own.demand_rate(ctx.actor, request.conversation_id)
    content.demand_bounds(request.text, request.parts, request.attributes)
    if said in ctx.own.judged or not (
        ctx.own.bounded.is_free(ctx.actor.org_id) and _is_all_known(request, ctx)
    ):
        return ctx.own.judged.go_on(said, lambda place: _post(request, ctx, place))
    return _send(_post_of(request, ctx, Carried(content.without_files(request.parts))), ctx)


def _is_all_known(request: messaging.PostMessage, ctx: Context[Own]) -> bool:
    """Whether nothing has to be looked up for a message: it answers nothing, names nobody and brings no file."""
    return not (
        request.reply_to
        or request.thread
        or ctx.keyed
        or content.names(request)
        or any(part.artifact_id for part in request.parts)
    )


def _send(post: Post, ctx: Context[Own]) -> asyncio.Future[Posted]:
    return ctx.own.posts.send(Caller(ctx.actor.org_id, ctx.trace), post, deadline=ctx.deadline)


async def _post(request: messaging.PostMessage, ctx: Context[Own], place: Place) -> Posted:
    trace.follow(ctx.trace)
    carried = await content.looked_up(ctx, request.parts, request.conversation_id)
    mentions = await content.mentions(ctx, request.text, request.mentions)
    ask = await replies.asked_by(ctx, request)
    async with ctx.own.counted(ctx) as unit:
        if request.client_id is None and not ctx.keyed:
            unit.demand()
        await place.comes()
        post = _post_of(request, ctx, carried, mentions, beyond=unit.refusal)
        if ctx.keyed or ask is not None:
            posted = await _post_alone(post, ctx, ask)
            place.leave()
        else:
            posting = _send(post, ctx)
            place.leave()
            posted = await posting
        if posted.repeated:
            unit.spare()
    if ask is not None:
        await asked.heed(request, posted, ask, ctx)
    return posted


async def _post_alone(post: Post, ctx: Context[Own], ask: AskedRow | None) -> Posted:
    """In a transaction of its own: with the answer that a repeat has, or with what is due to an ask."""
    async with ctx.transaction() as tx:
        [answer] = await ctx.own.posting.write(tx, [Caller.here(ctx.actor.org_id)], [post])
        if isinstance(answer, Refused):
            raise answer
        if ask is not None:
            await replies.begin(tx, ask, answer)
        return tx.answer(answer)


def _post_of(
    request: messaging.PostMessage,
    ctx: Context[Own],
    carried: Carried,
    mentions: tuple[UUID, ...] = (),
    beyond: Refused | None = None,
) -> Post:
    """What is to be posted; where and when it will stand is not known yet."""
    message = Message(
        request.conversation_id,
        0,
        ctx.actor.principal_id,
        _UNKNOWN,
        request.text,
        carried.parts,
        request.reply_to,
        request.thread,
        mentions,
        request.attributes,
        request.client_id,
    )
    return post_of(ctx.actor.org_id, message, sent_on=carried.sent_on, beyond=beyond)


@handlers.handles(messaging.ListMessages)
async def list_messages(request: messaging.ListMessages, ctx: Context[Own]) -> Page[Message]:
    row = await access.see(ctx, request.conversation_id)
    which = _which(request)
    at = ctx.position(request.after, Position)
    if at is not None and (at.conversation_id, at.which) != (row.id, which):
        raise Refused(StaleCursor())
    if request.around is not None and at is None:
        return await _around(request, ctx, row)
    if which == "since":
        found = await rows.after(ctx.db, row.id, at.bound if at else request.since or 0, request.limit)
    else:
        found = await _newest(request, ctx, row.id, at.bound if at else MAX_SEQ)
    return _paged(ctx, row.id, which, found)


def _paged(ctx: Context[Own], conversation_id: UUID, which: str, found: Found) -> Page[Message]:
    if not found.more:
        return Page(tuple(found.messages))
    position = Position(conversation_id, which, found.messages[-1].seq)
    return Page(tuple(found.messages), ctx.cursor(position))


async def _newest(
    request: messaging.ListMessages, ctx: Context[Own], conversation_id: UUID, bound: int
) -> Found:
    if request.thread is not None:
        return await rows.thread(ctx.db, conversation_id, request.thread, bound, request.limit)
    return await rows.before(ctx.db, conversation_id, bound, request.limit, pinned=request.pinned)


async def _around(request: messaging.ListMessages, ctx: Context[Own], row: ConversationRow) -> Page[Message]:
    """Half of a page before a message, the rest from it on; a cursor goes on behind that."""
    seq = request.around or 1
    before = (
        (await rows.before(ctx.db, row.id, seq, request.limit // 2)).messages if request.limit > 1 else []
    )
    behind = await rows.after(ctx.db, row.id, seq - 1, request.limit - len(before))
    both = Found([*reversed(before), *behind.messages], behind.more)
    return _paged(ctx, row.id, "since", both)


def _which(request: messaging.ListMessages) -> str:
    """Which list it is. Refused(Invalid) when a request asks for several at once."""
    asked = {
        "since": request.since is not None or request.around is not None,
        f"thread {request.thread}": request.thread is not None,
        "pinned": request.pinned,
    }
    named = [name for name, wanted in asked.items() if wanted]
    if len(named) > 1 or (request.since is not None and request.around is not None):
        fault = Fault("/since", "Expected one of `since`, `around`, `thread` and `pinned`")
        raise Refused(Invalid(faults=(fault,)))
    return named[0] if named else "newest"


@handlers.handles(messaging.GetMessage)
async def get_message(request: messaging.GetMessage, ctx: Context[Own]) -> Message:
    row = await access.see(ctx, request.conversation_id)
    return await rows.get(ctx.db, row.id, request.seq)


@handlers.handles(messaging.ListMessageRevisions)
async def list_message_revisions(
    request: messaging.ListMessageRevisions, ctx: Context[Own]
) -> Page[messaging.MessageRevision]:
    row = await access.see(ctx, request.conversation_id)
    await rows.get(ctx.db, row.id, request.seq)
    return Page(tuple(await rows.revisions(ctx.db, row.id, request.seq)))


@handlers.handles(messaging.CheckFile)
async def check_file(request: messaging.CheckFile, ctx: Context[Own]) -> messaging.FileShown:
    return messaging.FileShown(await files.shown(ctx, request))


@handlers.handles(messaging.EditMessage)
async def edit_message(request: messaging.EditMessage, ctx: Context[Own]) -> Message:
    ctx.own.demand_rate(ctx.actor, request.conversation_id)
    carried = (
        None
        if request.parts is None
        else await content.looked_up(ctx, request.parts, request.conversation_id)
    )
    mentioned = None if request.text is None else await content.mentions(ctx, request.text, request.mentions)
    async with ctx.transaction() as tx:
        row, message = await _lock(tx, ctx, request.conversation_id, request.seq)
        row.demand_speaking(ctx.now())
        if message.sender_id != ctx.actor.principal_id:
            raise Refused(Forbidden(scope=AUTHOR))
        changes.demand_there(message)
        said = msgspec.structs.replace(
            message,
            text=message.text if request.text is None else request.text,
            parts=message.parts if carried is None else carried.parts,
            mentions=message.mentions if mentioned is None else mentioned,
        )
        content.demand_bounds(said.text, said.parts, said.attributes)
        if said == message:
            return tx.answer(message)
        turn = _turn(tx, ctx, row)
        changed = await changes.edit(turn, message, said)
        if carried is not None:
            await files.keep(tx, [(row.org_id, changed, carried.sent_on)])
        await turn.close()
        return tx.answer(changed)


@handlers.handles(messaging.DeleteMessage)
async def delete_message(request: messaging.DeleteMessage, ctx: Context[Own]) -> None:
    async with ctx.transaction() as tx:
        row, message = await _lock(tx, ctx, request.conversation_id, request.seq)
        row.demand_joined()
        if message.sender_id != ctx.actor.principal_id:
            row.demand_managing()
        changes.demand_there(message)
        turn = _turn(tx, ctx, row)
        await changes.delete(turn, message)
        await turn.close()
        return tx.answer(None)


@handlers.handles(messaging.ReactToMessage)
async def react_to_message(request: messaging.ReactToMessage, ctx: Context[Own]) -> Message:
    ctx.own.demand_rate(ctx.actor, request.conversation_id)
    if request.on:
        changes.demand_shown(request.emoji)
    async with ctx.transaction() as tx:
        row, message = await _lock(tx, ctx, request.conversation_id, request.seq)
        row.demand_speaking(ctx.now())
        changes.demand_there(message)
        turn = _turn(tx, ctx, row)
        changed = await changes.react(turn, message, request.emoji, on=request.on)
        await turn.close()
        return tx.answer(changed)


@handlers.handles(messaging.PinMessage)
async def pin_message(request: messaging.PinMessage, ctx: Context[Own]) -> Message:
    ctx.own.demand_rate(ctx.actor, request.conversation_id)
    async with ctx.transaction() as tx:
        row, message = await _lock(tx, ctx, request.conversation_id, request.seq)
        row.demand_speaking(ctx.now())
        changes.demand_there(message)
        turn = _turn(tx, ctx, row)
        changed = await changes.pin(turn, message, pinned=request.pinned)
        await turn.close()
        return tx.answer(changed)


async def _lock(
    tx: Transaction, ctx: Context[Own], conversation_id: UUID, seq: int
) -> tuple[ConversationRow, Message]:
    """A message of a locked conversation that the caller may read."""
    row = await access.lock(tx, ctx, conversation_id)
    return row, await rows.get(tx, row.id, seq)


def _turn(tx: Transaction, ctx: Context[Own], row: ConversationRow) -> Turn:
    return Turn(tx, ctx.own.telling, row, actor_id=ctx.actor.principal_id, at=ctx.now())


@handlers.on(identity.QuotaSet)
async def keep_quota(event: identity.QuotaSet, ctx: EventContext[Own]) -> None:
    await ctx.own.bounded.keep(ctx.tx, event)


@handlers.on(identity.QuotaRemoved)
async def drop_quota(event: identity.QuotaRemoved, ctx: EventContext[Own]) -> None:
    await ctx.own.bounded.drop(ctx.tx, event)
