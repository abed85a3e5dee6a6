"""Answers about streams: begun, said on, ended, read."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from polis.messaging import access
from polis.messaging.messages import content
from polis.messaging.messages import rows as messages
from polis.messaging.own import Own
from polis.messaging.streams import ending, rows
from polis.messaging.streams.ending import ABANDONED, Outcome
from polis.messaging.streams.rows import StreamRow
from polis.messaging.streams.saying import Piece
from polis.messaging.turns import beginning
from polis.proto import Refused, messaging
from polis.proto.messaging import MAX_OPEN_STREAMS, MessageStream, StreamChange, StreamStatus
from polis.proto.runtime import GetRun, RunNotFound
from polis.service import Context, Handlers

if TYPE_CHECKING:
    from polis.db import Transaction

handlers = Handlers()


@handlers.handles(messaging.BeginStream)
async def begin_stream(request: messaging.BeginStream, ctx: Context[Own]) -> StreamStatus:
    own, me = ctx.own, ctx.actor.principal_id
    own.demand_rate(ctx.actor, request.conversation_id)
    if request.run_id is not None:
        await _demand_own_run(ctx, request.run_id)
    async with own.counted(ctx) as unit, ctx.transaction() as tx:
        row = await access.lock(tx, ctx, request.conversation_id)
        row.demand_joined()
        known = await _known(tx, ctx, request)
        if known is not None:
            unit.spare()
            return tx.answer(known)
        row.demand_speaking(ctx.now())
        unit.demand()
        await beginning.demand(tx, row.id, ctx.actor, request.reply_to, bounds=own.bounds, now=ctx.now())
        begun = await _begin(tx, ctx, request)
        told = StreamChange(begun.id, me, 0, reply_to=begun.reply_to)
        tx.after_commit(lambda: own.telling.streams(begun.org_id, begun.conversation_id, told))
        return tx.answer(begun.status(own.config.stream_lease_s))


async def _demand_own_run(ctx: Context[Own], run_id: UUID) -> None:
    """Refused(RunNotFound) for a run of somebody else: who cancels a stream would be made to cancel that."""
    run = await ctx.call(GetRun(run_id=run_id))
    if ctx.actor.principal_id not in (run.actor_id, run.started_by):
        raise Refused(RunNotFound(run_id=run_id))


async def _known(tx: Transaction, ctx: Context[Own], request: messaging.BeginStream) -> StreamStatus | None:
    """What became of what the caller calls by this name, if it has begun it before."""
    me, lease_s = ctx.actor.principal_id, ctx.own.config.stream_lease_s
    stream = await rows.named(tx, request.conversation_id, me, request.client_id)
    if stream is not None:
        return stream.status(lease_s)
    said = await messages.named(tx, request.conversation_id, me, request.client_id)
    if said is None:
        return None
    length = len(said.text)
    if said.stream is None:
        return StreamStatus(ctx.new_id(), "complete", length, length, lease_s, message_seq=said.seq)
    return StreamStatus(said.stream.id, said.stream.state, length, length, lease_s, message_seq=said.seq)


async def _begin(tx: Transaction, ctx: Context[Own], request: messaging.BeginStream) -> StreamRow:
    me, config = ctx.actor.principal_id, ctx.own.config
    for seq in (request.reply_to, request.thread):
        if seq is not None:
            await messages.get(tx, request.conversation_id, seq)
    counts = await rows.counts(tx, request.conversation_id, me)
    if counts.here >= MAX_OPEN_STREAMS:
        raise Refused(messaging.ConversationFull(what="streams", most=MAX_OPEN_STREAMS))
    if counts.own >= config.streams_per_principal:
        raise Refused(
            messaging.ConversationFull(what="streams of one principal", most=config.streams_per_principal)
        )
    row = StreamRow(
        ctx.actor.org_id,
        ctx.new_id(),
        request.conversation_id,
        me,
        request.client_id,
        "open",
        began_at=(at := ctx.now()),
        heard_at=at,
        reply_to=request.reply_to,
        thread=request.thread,
        run_id=request.run_id,
        priority=0,
        taken=0,
        shown=0,
        cancelled_by=None,
        message_seq=None,
        text="",
    )
    await rows.insert(tx, row)
    return row


@handlers.handles(messaging.ContinueStream)
async def continue_stream(request: messaging.ContinueStream, ctx: Context[Own]) -> StreamStatus:
    org_id, own = ctx.actor.org_id, ctx.own
    own.saying_in_stream.demand((org_id, request.stream_id))
    piece = Piece(org_id, request.stream_id, ctx.actor.principal_id, request.at, request.text)
    return await own.pieces.put(org_id, piece, deadline=ctx.deadline)


@handlers.handles(messaging.EndStream)
async def end_stream(request: messaging.EndStream, ctx: Context[Own]) -> StreamStatus:
    said = await _mine(ctx, request.stream_id)
    carried = await content.looked_up(ctx, request.parts, said.conversation_id)
    mentions = await content.mentions(ctx, said.text) if said.is_open else ()
    async with ctx.transaction() as tx:
        row = await _lock(tx, ctx, said)
        if row.is_open:
            _demand_ready(row, request)
            outcome = Outcome("complete", carried=carried, mentions=mentions, attributes=request.attributes)
            await ending.end(tx, ctx.own, row, outcome)
        return tx.answer(await _status(tx, ctx, row.id))


def _demand_ready(row: StreamRow, request: messaging.EndStream) -> None:
    if row.state == "paused":
        raise Refused(messaging.StreamPaused(stream_id=row.id))
    if request.at is not None and request.at > row.taken:
        raise Refused(messaging.StreamIncomplete(stream_id=row.id, at=row.taken))
    content.demand_bounds(row.text, request.parts, request.attributes)


@handlers.handles(messaging.AbandonStream)
async def abandon_stream(request: messaging.AbandonStream, ctx: Context[Own]) -> StreamStatus:
    said = await _mine(ctx, request.stream_id)
    async with ctx.transaction() as tx:
        row = await _lock(tx, ctx, said)
        if row.is_open:
            await ending.end(tx, ctx.own, row, Outcome("partial", request.reason or ABANDONED))
        return tx.answer(await _status(tx, ctx, row.id))


@handlers.handles(messaging.GetStream)
async def get_stream(request: messaging.GetStream, ctx: Context[Own]) -> MessageStream:
    row = await rows.get(ctx.db, request.stream_id)
    try:
        await access.see(ctx, row.conversation_id)
    except Refused as refusal:
        if isinstance(refusal.problem, messaging.ConversationNotFound):
            raise Refused(messaging.StreamNotFound(stream_id=row.id)) from None
        raise
    return row.seen(request.at)


async def _mine(ctx: Context[Own], stream_id: UUID) -> StreamRow:
    """Refused(StreamNotFound) for what somebody else says."""
    row = await rows.get(ctx.db, stream_id)
    if row.producer_id != ctx.actor.principal_id:
        raise Refused(messaging.StreamNotFound(stream_id=stream_id))
    return row


async def _lock(tx: Transaction, ctx: Context[Own], row: StreamRow) -> StreamRow:
    """As it is by now, with its conversation, so that nothing else happens in either. Refused(StreamNotFound)."""
    await access.lock_rows(tx, ctx.actor.org_id, [row.conversation_id])
    for locked in await rows.lock(tx, [row.id]):
        return locked
    raise Refused(messaging.StreamNotFound(stream_id=row.id))


async def _status(tx: Transaction, ctx: Context[Own], stream_id: UUID) -> StreamStatus:
    return (await rows.get(tx, stream_id)).status(ctx.own.config.stream_lease_s)
