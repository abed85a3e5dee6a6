"""Answers about marks and drafts."""

from __future__ import annotations

from uuid import UUID

from polis.messaging import access
from polis.messaging.marks import rows
from polis.messaging.own import Own
from polis.messaging.participants.rows import FIRST
from polis.proto import Page, Refused, messaging
from polis.proto.messaging import LiveConversation, MessageDraft, ReadMark
from polis.proto.problems import Forbidden
from polis.service import Context, Handlers

handlers = Handlers()


@handlers.handles(messaging.MarkConversation)
async def mark_conversation(request: messaging.MarkConversation, ctx: Context[Own]) -> ReadMark:
    """Whoever takes part is marked without a look at the conversation first: it is asked for with every message read."""
    org_id, conversation_id = ctx.actor.org_id, request.conversation_id
    async with ctx.transaction() as tx:
        mark = await rows.mark(
            tx,
            conversation_id,
            ctx.actor.principal_id,
            read=request.read_seq or 0,
            delivered=request.delivered_seq or 0,
        )
        if mark is None:
            await access.see(ctx, conversation_id, tx)
            raise Refused(Forbidden(scope=access.TAKING_PART))
        tx.after_commit(
            lambda: ctx.own.telling.tell(org_id, conversation_id, LiveConversation(marks=(mark,)))
        )
        return tx.answer(mark)


@handlers.handles(messaging.ListMarks)
async def list_marks(request: messaging.ListMarks, ctx: Context[Own]) -> Page[ReadMark]:
    row = await access.see(ctx, request.conversation_id)
    after = ctx.position(request.after, UUID) or FIRST
    found = await rows.page(ctx.db, row.id, after=after, limit=request.limit + 1)
    return ctx.page(found, limit=request.limit, key=lambda mark: mark.principal_id)


@handlers.handles(messaging.KeepMessageDraft)
async def keep_message_draft(request: messaging.KeepMessageDraft, ctx: Context[Own]) -> MessageDraft:
    row = await access.see(ctx, request.conversation_id)
    row.demand_joined()
    draft = MessageDraft(row.id, request.text, ctx.now(), request.reply_to)
    async with ctx.transaction() as tx:
        await rows.keep(tx, ctx.actor.principal_id, draft)
        return tx.answer(draft)


@handlers.handles(messaging.GetMessageDraft)
async def get_message_draft(request: messaging.GetMessageDraft, ctx: Context[Own]) -> MessageDraft:
    row = await access.see(ctx, request.conversation_id)
    return await rows.kept(ctx.db, ctx.actor.principal_id, row.id)


@handlers.handles(messaging.DropMessageDraft)
async def drop_message_draft(request: messaging.DropMessageDraft, ctx: Context[Own]) -> None:
    row = await access.see(ctx, request.conversation_id)
    async with ctx.transaction() as tx:
        await rows.drop(tx, ctx.actor.principal_id, row.id)
        return tx.answer(None)
