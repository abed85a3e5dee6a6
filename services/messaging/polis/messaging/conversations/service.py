"""Answers about conversations: begun, found, read, changed."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from polis.messaging import access
from polis.messaging.conversations import rows
from polis.messaging.conversations.turn import Turn
from polis.messaging.own import Own
from polis.messaging.participants import rows as participants
from polis.messaging.participants.service import demand_fitting
from polis.messaging.streams import ending
from polis.proto import Page, Refused, messaging
from polis.proto.messaging import Conversation, ConversationChanged, ConversationCreated, Participant
from polis.proto.problems import StaleCursor
from polis.service import Context, Handlers

if TYPE_CHECKING:
    from polis.db import Transaction
    from polis.proto.identity import Standing

handlers = Handlers()
_OF_TWO = frozenset({"data_class", "retention_days"})


@handlers.handles(messaging.CreateConversation)
async def create_conversation(request: messaging.CreateConversation, ctx: Context[Own]) -> Conversation:
    others = dict.fromkeys(request.participants)
    others.pop(ctx.actor.principal_id, None)
    standings = [await ctx.own.directory.standing(ctx, each) for each in others]
    for standing in standings:
        demand_fitting(request.kind, standing.kind, "observer" if standing.kind == "user" else "member")
    open_to_org = request.kind == "channel" and request.visibility != "private"
    made = _new(ctx, request.kind, "org" if open_to_org else "private")
    made = msgspec.structs.replace(
        made, name=request.name, topic=request.topic, data_class=request.data_class
    )
    async with ctx.transaction() as tx:
        return tx.answer(await _begin(tx, ctx, made, standings))


@handlers.handles(messaging.OpenDirect)
async def open_direct(request: messaging.OpenDirect, ctx: Context[Own]) -> Conversation:
    me = ctx.actor.principal_id
    if request.principal_id == me:
        raise Refused(messaging.RecipientUnknown(principal_id=me))
    standing = await ctx.own.directory.standing(ctx, request.principal_id)
    async with ctx.transaction() as tx:
        known = await rows.of_pair(tx, me, request.principal_id)
        if known is not None:
            return tx.answer(known)
        made = msgspec.structs.replace(
            _new(ctx, "direct", "private"),
            with_ids=tuple(sorted((me, request.principal_id))),
            responsible_id=request.principal_id if standing.kind == "agent" else me,
        )
        return tx.answer(await _begin(tx, ctx, made, [standing]))


@handlers.handles(messaging.ListConversations)
async def list_conversations(
    request: messaging.ListConversations, ctx: Context[Own]
) -> Page[messaging.MyConversation]:
    at = ctx.position(request.after, rows.Mine) or rows.Mine(request.kind, request.archived)
    if (at.kind, at.archived) != (request.kind, request.archived):
        raise Refused(StaleCursor())
    found = await rows.mine(ctx.db, ctx.actor.principal_id, at, request.limit + 1)
    return ctx.page(
        found,
        limit=request.limit,
        key=lambda mine: rows.Mine(at.kind, at.archived, mine.conversation.last_at, mine.conversation.id),
    )


@handlers.handles(messaging.ListChannels)
async def list_channels(request: messaging.ListChannels, ctx: Context[Own]) -> Page[Conversation]:
    begins = request.name.lower()
    listed = sha256(begins.encode()).hexdigest()[:16]
    at = ctx.position(request.after, rows.Channels) or rows.Channels(listed)
    if at.begins != listed:
        raise Refused(StaleCursor())
    found = await rows.channels(ctx.db, ctx.actor.principal_id, begins, at.id, request.limit + 1)
    return ctx.page(found, limit=request.limit, key=lambda channel: rows.Channels(listed, channel.id))


@handlers.handles(messaging.GetConversation)
async def get_conversation(request: messaging.GetConversation, ctx: Context[Own]) -> Conversation:
    return (await access.see(ctx, request.conversation_id)).conversation


@handlers.handles(messaging.ChangeConversation)
async def change_conversation(request: messaging.ChangeConversation, ctx: Context[Own]) -> Conversation:
    async with ctx.transaction() as tx:
        row = await access.lock(tx, ctx, request.conversation_id)
        row.demand_joined()
        if row.kind != "direct":
            row.demand_managing()
        elif any(getattr(request, n) is not None for n in _CHANGED - _OF_TWO):
            row.demand_several()
        at = ctx.now()
        changed = rows.changed(row.conversation, request, at)
        if row.kind != "channel":
            changed = msgspec.structs.replace(changed, visibility=row.conversation.visibility)
        if changed == row.conversation:
            return tx.answer(changed)
        turn = Turn(tx, ctx.own.telling, row, actor_id=ctx.actor.principal_id, at=at)
        seq = turn.add("changed", conversation=changed)
        await rows.change(tx, changed)
        await tx.emit(
            ConversationChanged(
                row.org_id, row.id, seq, by=turn.actor_id, archived=changed.archived_at is not None
            )
        )
        await turn.close()
        if changed.archived_at is not None:
            await ending.silence(tx, ctx.own, row.id, "archived", by=turn.actor_id)
        return tx.answer(msgspec.structs.replace(changed, head_seq=seq, last_at=at))


_CHANGED = frozenset(messaging.ChangeConversation.__struct_fields__) - {"conversation_id"}


def _new(
    ctx: Context[Own], kind: messaging.ConversationKind, visibility: messaging.ConversationVisibility
) -> Conversation:
    at = ctx.now()
    return Conversation(
        id=ctx.new_id(),
        org_id=ctx.actor.org_id,
        kind=kind,
        name="",
        topic="",
        visibility=visibility,
        data_class="internal",
        created_by=ctx.actor.principal_id,
        created_at=at,
        head_seq=0,
        last_at=at,
        responsible_id=ctx.actor.principal_id,
    )


async def _begin(
    tx: Transaction, ctx: Context[Own], made: Conversation, others: list[Standing]
) -> Conversation:
    """Store a conversation with those who take part in it; of two who begin one at the same time, the other's counts."""
    me = ctx.actor.principal_id
    if not await rows.insert(tx, made):
        known = await rows.of_pair(tx, *made.with_ids)
        if known is None:
            raise LookupError("a conversation of two is there and cannot be read")
        return known
    await participants.demand_room(tx, made.id, made.kind, 1 + len(others))
    row = (await rows.locked(tx, [made.id]))[0]
    turn = Turn(tx, ctx.own.telling, row, actor_id=me, at=made.created_at)
    turn.add("created", conversation=made)
    await tx.emit(ConversationCreated(made.org_id, made.id, made.kind, by=me))
    await participants.put(turn, *_first(ctx, made, others))
    await turn.close()
    return msgspec.structs.replace(made, head_seq=turn.head)


def _first(ctx: Context[Own], made: Conversation, others: list[Standing]) -> list[Participant]:
    """Who begins it owns it, but for one of two; people among agents look on."""
    me, at = ctx.actor.principal_id, made.created_at
    mine: messaging.ParticipantRole = "member" if made.kind == "direct" else "owner"
    first = [Participant(me, ctx.actor.kind, mine, "joined", at, me)]  # type: ignore[arg-type] # who holds a scope is one of these
    for other in others:
        looks_on = made.kind == "agents" and other.kind == "user"
        role: messaging.ParticipantRole = "observer" if looks_on else "member"
        first.append(Participant(other.principal_id, other.kind, role, "joined", at, me))
    return first
