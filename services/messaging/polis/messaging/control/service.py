"""Answers about control. There is no other way to write an entry of that kind, and none to write one of another kind here."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from polis.messaging import access
from polis.messaging.control import moving, rights, speaking
from polis.messaging.conversations.turn import Turn
from polis.messaging.handoff import passing
from polis.messaging.own import Own
from polis.messaging.streams import rows
from polis.messaging.streams.rows import StreamRow
from polis.proto import Refused, messaging
from polis.proto.messaging import (
    CancelControl,
    ControlAnswer,
    Controlled,
    ControlledStream,
    ConversationControlled,
    HandoffControl,
    RouteControl,
)
from polis.proto.runtime import CancelRun, RunEnded
from polis.service import Context, Handlers

if TYPE_CHECKING:
    from polis.db import Transaction
    from polis.messaging.access import ConversationRow

handlers = Handlers()


@handlers.handles(messaging.ControlConversation)
async def control_conversation(request: messaging.ControlConversation, ctx: Context[Own]) -> ControlAnswer:
    ctx.own.demand_rate(ctx.actor)
    row = await access.see(ctx, request.conversation_id)
    if isinstance(request.control, RouteControl | HandoffControl):
        await rights.demand(ctx, row, request.control)
        return await _move(request, request.control, ctx)
    streams = await _meant(ctx, request)
    await rights.demand(ctx, row, request.control, streams)
    cancels = isinstance(request.control, CancelControl)
    stopped = await _cancel_runs(ctx, streams) if cancels else frozenset[UUID]()
    return await _apply(request, ctx, streams, stopped)


async def _meant(ctx: Context[Own], request: messaging.ControlConversation) -> list[StreamRow]:
    """The stream that is named, else all that are open. Refused(StreamNotFound | NothingIsSaid)."""
    if request.stream_id is None:
        streams = await rows.open_in(ctx.db, request.conversation_id)
        if not streams:
            raise Refused(messaging.NothingIsSaid(conversation_id=request.conversation_id))
        return streams
    stream = await rows.get(ctx.db, request.stream_id)
    if stream.conversation_id != request.conversation_id:
        raise Refused(messaging.StreamNotFound(stream_id=stream.id))
    return [stream]


async def _cancel_runs(ctx: Context[Own], streams: list[StreamRow]) -> frozenset[UUID]:
    """The streams whose runs were cancelled, as the caller, who needs its rights there, too.

    The stream knows of it first: it may end by it before this goes on.
    """
    theirs = {stream.id: stream.run_id for stream in streams if stream.is_open and stream.run_id is not None}
    for stream_id, run_id in theirs.items():
        await _mark(ctx, stream_id, cancelled=True)
        try:
            await ctx.call(CancelRun(run_id=run_id))
        except Refused as refusal:
            if not isinstance(refusal.problem, RunEnded):
                await _mark(ctx, stream_id, cancelled=False)
                raise
    return frozenset(theirs)


async def _mark(ctx: Context[Own], stream_id: UUID, *, cancelled: bool) -> None:
    async with ctx.own.database.transaction([ctx.actor.org_id]) as tx:
        await rows.cancelling(tx, [stream_id], ctx.actor.principal_id if cancelled else None)


async def _apply(
    request: messaging.ControlConversation,
    ctx: Context[Own],
    meant: list[StreamRow],
    stopped: frozenset[UUID],
) -> ControlAnswer:
    ids = [stream.id for stream in meant]
    async with ctx.transaction() as tx:
        row = await access.lock(tx, ctx, request.conversation_id)
        await rights.demand(ctx, row, request.control, meant)
        before = [
            stream
            for stream in await rows.lock(tx, ids)
            if stream.id in stopped or speaking.concerns(request.control, stream)
        ]
        seq = await _done(tx, ctx, request, before) if before else None
        return tx.answer(ControlAnswer(row.id, seq, await _outcomes(tx, ids)))


async def _done(
    tx: Transaction, ctx: Context[Own], request: messaging.ControlConversation, before: list[StreamRow]
) -> int:
    """The number of the entry, behind the messages that streams have become. `before`: those that it concerns."""
    own, control, id_ = ctx.own, request.control, request.conversation_id
    await speaking.apply(tx, own, control, before, by=ctx.actor.principal_id, now=ctx.now())
    controlled = Controlled(control, await _outcomes(tx, [stream.id for stream in before]))
    seq = await _record(tx, ctx, await access.see(ctx, id_, tx), controlled)
    if changes := speaking.told(control, before):
        tx.after_commit(lambda: own.telling.streams(ctx.actor.org_id, id_, *changes))
    return seq


async def _outcomes(tx: Transaction, stream_ids: list[UUID]) -> tuple[ControlledStream, ...]:
    return tuple(speaking.outcome(stream) for stream in await rows.these(tx, stream_ids))


async def _move(
    request: messaging.ControlConversation, control: RouteControl | HandoffControl, ctx: Context[Own]
) -> ControlAnswer:
    move = await moving.prepared(ctx, control)
    async with ctx.transaction() as tx:
        row = await access.lock(tx, ctx, request.conversation_id)
        await rights.demand(ctx, row, control)
        if isinstance(control, RouteControl) and await passing.is_routed(tx, row, control.to):
            return tx.answer(ControlAnswer(row.id, None))
        seq = await _record(tx, ctx, row, Controlled(control), move)
        return tx.answer(ControlAnswer(row.id, seq))


async def _record(
    tx: Transaction,
    ctx: Context[Own],
    row: ConversationRow,
    controlled: Controlled,
    move: moving.Move | None = None,
) -> int:
    """The number of the entry: who said what to who speaks, and what became of it."""
    turn = Turn(tx, ctx.own.telling, row, actor_id=ctx.actor.principal_id, at=ctx.now())
    seq = turn.add("control", control=controlled)
    await tx.emit(
        ConversationControlled(
            row.org_id,
            row.id,
            seq,
            turn.actor_id,
            kind=controlled.control.__struct_config__.tag,  # type: ignore[arg-type] # each has one
            stream_ids=tuple(each.stream_id for each in controlled.streams),
        )
    )
    if move is not None:
        await move(turn)
    await turn.close()
    return seq
