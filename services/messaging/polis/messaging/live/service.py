"""Answers to those who follow conversations: snapshots, what was missed, typing, presence, announcements, and what gateways ask."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.messaging import access
from polis.messaging.access import ConversationRow
from polis.messaging.live import log
from polis.messaging.own import Own
from polis.messaging.streams import rows as streams
from polis.proto import Page, Refused, messaging
from polis.proto.identity import DataClass
from polis.proto.messaging import (
    MAX_ANNOUNCED_BYTES,
    TYPING_S,
    Announcement,
    AnnouncementMade,
    ConversationSnapshot,
    LiveAnnouncement,
    LiveConversation,
    Missed,
    Participation,
    ParticipationsSnapshot,
    Presence,
    PresenceSnapshot,
    Typing,
    Watched,
    WatchedState,
    WatchedStates,
)
from polis.proto.problems import Fault, Invalid
from polis.service import Context, Handlers

if TYPE_CHECKING:
    from polis.db import Transaction

handlers = Handlers()
_MISSED_BYTES = 800 * 1024
"""Of one answer to what somebody missed: the broker takes a mebibyte."""
_PARTICIPATIONS = 1000
_SYNCED = 2000
"""Conversations that a device is kept up to date with: a cursor holds as many."""


@handlers.handles(messaging.WatchConversation)
async def watch_conversation(request: messaging.WatchConversation, ctx: Context[Own]) -> ConversationSnapshot:
    async with ctx.own.database.snapshot(ctx.actor.org_id, deadline=ctx.deadline) as tx:
        row = await access.see(ctx, request.conversation_id, tx)
        told = await log.caught_up(tx, row, request.after)
        return msgspec.structs.replace(told, streams=await streams.shown_in(tx, row.id))


@handlers.handles(messaging.PullMissed)
async def pull_missed(request: messaging.PullMissed, ctx: Context[Own]) -> Missed:
    known = dict(ctx.position(request.cursor or None, _Device) or ())
    async with ctx.own.database.snapshot(ctx.actor.org_id, deadline=ctx.deadline) as tx:
        rows = await _taken_part(tx, ctx.actor.principal_id)
        behind = [row for row in rows if known.get(row.id.bytes) != row.head_seq]
        found: list[ConversationSnapshot] = []
        left = _MISSED_BYTES
        for row in behind[: request.limit]:
            missed = await log.caught_up(tx, row, known.get(row.id.bytes))
            left -= len(msgspec.json.encode(missed))
            if found and left < 0:
                break
            found.append(missed)
        others = [UUID(bytes=each) for each in known.keys() - {row.id.bytes for row in rows}]
        gone = set(others).difference(await _of_them(tx, ctx.actor.principal_id, others))
    known |= {each.conversation.id.bytes: each.seq for each in found}
    knows = [(row.id.bytes, known[row.id.bytes]) for row in rows if row.id.bytes in known]
    whole = len(found) == len(behind) and all(each.seq == each.conversation.head_seq for each in found)
    return Missed(tuple(found), ctx.cursor(knows), tuple(sorted(gone)), more=not whole)


_Device = list[tuple[bytes, int]]
"""The conversations that a device knows, and how far."""


async def _taken_part(tx: Transaction, principal_id: UUID) -> list[ConversationRow]:
    return await tx.rows(
        ConversationRow,
        f"""
        select {access.COLUMNS} from messaging.participants p
        cross join lateral (
            select o.* from messaging.conversations o
            where o.org_id = p.org_id and o.id = p.conversation_id offset 0
        ) c
        where p.org_id = $1 and p.principal_id = $2 and p.state = 'joined'
        order by c.last_at desc, c.id desc limit $3
        """,  # noqa: S608 - the parts are constants
        tx.org_id,
        principal_id,
        _SYNCED,
    )


async def _of_them(tx: Transaction, principal_id: UUID, ids: list[UUID]) -> list[UUID]:
    """Those of these conversations that somebody takes part in."""
    if not ids:
        return []
    return await tx.rows(
        UUID,
        """
        select conversation_id from messaging.participants
        where org_id = $1 and principal_id = $2 and state = 'joined' and conversation_id = any($3)
        """,
        tx.org_id,
        principal_id,
        ids,
    )


@handlers.handles(messaging.SayTyping)
async def say_typing(request: messaging.SayTyping, ctx: Context[Own]) -> None:
    actor = ctx.actor
    if ctx.own.typing.wait((actor.org_id, actor.principal_id, request.conversation_id)):
        return
    row = await access.see(ctx, request.conversation_id)
    row.demand_speaking(ctx.now())
    until = ctx.now() + timedelta(seconds=TYPING_S if request.on else 0)
    told = LiveConversation(typing=(Typing(actor.principal_id, until),))
    ctx.own.telling.tell(row.org_id, row.id, told)


@handlers.handles(messaging.SayPresence)
async def say_presence(request: messaging.SayPresence, ctx: Context[Own]) -> Presence:
    actor = ctx.actor
    ctx.own.presence_rate.demand((actor.org_id, actor.principal_id))
    return await ctx.own.presences.say(actor.org_id, actor.principal_id, request.state, request.doing)


@handlers.handles(messaging.ListPresence)
async def list_presence(request: messaging.ListPresence, ctx: Context[Own]) -> Page[Presence]:
    row = await access.see(ctx, request.conversation_id)
    ids = await ctx.db.rows(
        UUID,
        """
        select p.principal_id from messaging.participants p
        where p.org_id = $1 and p.conversation_id = $2 and p.state = 'joined' order by p.principal_id
        """,
        row.org_id,
        row.id,
    )
    return Page(ctx.own.presences.of(row.org_id, ids)[:_SHOWN])


@handlers.handles(messaging.WatchPresence)
async def watch_presence(_: messaging.WatchPresence, ctx: Context[Own]) -> PresenceSnapshot:
    actor, presences = ctx.actor, ctx.own.presences
    conversation_ids = await presences.shared(actor.org_id, actor.principal_id)
    ids = await ctx.db.rows(
        UUID,
        """
        select distinct p.principal_id from messaging.participants p
        where p.org_id = $1 and p.conversation_id = any($2::uuid[]) and p.state = 'joined' and p.principal_id <> $3
        order by p.principal_id limit $4
        """,
        actor.org_id,
        conversation_ids,
        actor.principal_id,
        _SHOWN,
    )
    told = presences.of(actor.org_id, ids)
    return PresenceSnapshot(0, told, tuple(ids), tuple(conversation_ids))


@handlers.handles(messaging.Announce)
async def announce(request: messaging.Announce, ctx: Context[Own]) -> Announcement:
    if len(msgspec.json.encode(request.data)) > MAX_ANNOUNCED_BYTES:
        raise Refused(Invalid(faults=(Fault("/data", f"Expected at most {MAX_ANNOUNCED_BYTES} bytes"),)))
    actor = ctx.actor
    ctx.own.demand_rate(actor)
    made = Announcement(ctx.new_id(), request.text, actor.principal_id, ctx.now(), request.data)
    async with ctx.transaction() as tx:
        except_for = len(request.except_for)
        await tx.emit(
            AnnouncementMade(actor.org_id, made.id, made.announced_by, made.announced_at, except_for)
        )
    ctx.own.telling.announcement(actor.org_id, LiveAnnouncement(made, request.except_for))
    return made


@handlers.handles(messaging.WatchParticipations)
async def watch_participations(_: messaging.WatchParticipations, ctx: Context[Own]) -> ParticipationsSnapshot:
    found = await ctx.db.rows(
        Participation,
        """
        select p.conversation_id, p.role, p.state, p.since from messaging.participants p
        where p.org_id = $1 and p.principal_id = $2 and p.state in ('joined', 'invited')
        order by p.since desc, p.conversation_id limit $3
        """,
        ctx.actor.org_id,
        ctx.actor.principal_id,
        _PARTICIPATIONS + 1,
    )
    return ParticipationsSnapshot(0, tuple(found[:_PARTICIPATIONS]), len(found) > _PARTICIPATIONS)


_SHOWN = 1_000


class _State(Struct, frozen=True):
    n: int
    head_seq: int
    visibility: str
    data_class: DataClass
    inside: list[UUID]
    banned: list[UUID]


@handlers.handles(messaging.CheckWatches)
async def check_watches(request: messaging.CheckWatches, ctx: Context[Own]) -> WatchedStates:
    orgs = list({watched.org_id for watched in request.watched})
    if not orgs:
        return WatchedStates(())
    async with ctx.own.database.transaction(orgs, deadline=ctx.deadline) as tx:
        found = {state.n: state for state in await _states(tx, request.watched)}
    states = [
        await _judged(ctx, watched, found.get(number)) for number, watched in enumerate(request.watched, 1)
    ]
    return WatchedStates(tuple(states))


async def _states(tx: Transaction, watched: tuple[Watched, ...]) -> list[_State]:
    pairs = [
        (n, each.org_id, each.conversation_id, who)
        for n, each in enumerate(watched, 1)
        for who in each.principal_ids
    ]
    return await tx.rows(
        _State,
        """
        select w.n, c.head_seq, c.visibility, c.data_class,
            coalesce(array_agg(p.principal_id) filter (where p.state = 'joined'), '{}') as inside,
            coalesce(array_agg(p.principal_id) filter (where p.state = 'banned'), '{}') as banned
        from unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::uuid[]) as w (n, org_id, id, principal_id)
        join messaging.conversations c on c.org_id = w.org_id and c.id = w.id
        left join messaging.participants p
            on p.org_id = w.org_id and p.conversation_id = w.id and p.principal_id = w.principal_id
        group by w.n, c.head_seq, c.visibility, c.data_class
        """,
        *[list(column) for column in zip(*pairs, strict=True)] or ([], [], [], []),
    )


async def _judged(ctx: Context[Own], watched: Watched, state: _State | None) -> WatchedState:
    """Who of them takes no part, is not let in by the conversation being open, and has no grant."""
    if state is None:
        return WatchedState(watched.conversation_id, 0, watched.principal_ids)
    outside = [each for each in watched.principal_ids if each not in set(state.inside)]
    if state.visibility == "org":
        lost = [each for each in outside if each in set(state.banned)]
    else:
        lost = [each for each in outside if not await _granted(ctx, watched, state, each)]
    return WatchedState(watched.conversation_id, state.head_seq, tuple(lost))


async def _granted(ctx: Context[Own], watched: Watched, state: _State, principal_id: UUID) -> bool:
    if principal_id in state.banned:
        return False
    try:
        return await access.granted_to(
            ctx, watched.org_id, watched.conversation_id, principal_id, state.data_class
        )
    except Refused:
        return True  # identity does not answer now: nothing is taken from anybody for that
