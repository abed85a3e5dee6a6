"""Answers about handoffs: begun, listed, claimed, given back."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from polis.messaging import access
from polis.messaging.conversations.turn import Turn
from polis.messaging.handoff import passing, rows
from polis.messaging.handoff.access import claimer, keys
from polis.messaging.own import Own
from polis.proto import Page, Refused, messaging
from polis.proto.messaging import Handoff, HandoffEnded, HandoffNotFound
from polis.proto.problems import Fault, Forbidden, Invalid, StaleCursor
from polis.service import Context, Handlers
from polis.service.addressees import demand_form

if TYPE_CHECKING:
    from polis.db import Transaction
    from polis.messaging.access import ConversationRow
    from polis.messaging.handoff.access import Claimer
    from polis.proto.identity import Standing
    from polis.proto.runtime import Addressee

handlers = Handlers()


class Position(Struct, frozen=True):
    """Where a list of handoffs goes on, and which list it is."""

    state: str | None
    conversation_id: UUID | None
    before: UUID = rows.LAST


@handlers.handles(messaging.HandOff)
async def hand_off(request: messaging.HandOff, ctx: Context[Own]) -> Handoff:
    await demand_reachable(ctx, request.to)
    async with ctx.transaction() as tx:
        row = await access.lock(tx, ctx, request.conversation_id)
        passing.demand_steering(row, ctx.actor.principal_id)
        demand_open(row)
        demand_another(row, request.to)
        turn = _turn(tx, ctx, row)
        wanted = passing.Wanted(
            request.to, request.reason, request.summary, request.timeout_s, request.held_s
        )
        begun = await passing.hand_off(turn, wanted)
        await turn.close()
        return tx.answer(begun)


@handlers.handles(messaging.ListHandoffs)
async def list_handoffs(request: messaging.ListHandoffs, ctx: Context[Own]) -> Page[Handoff]:
    at = ctx.position(request.after, Position) or Position(request.state, request.conversation_id)
    if (at.state, at.conversation_id) != (request.state, request.conversation_id):
        raise Refused(StaleCursor())
    if at.conversation_id is not None:
        row = await access.see(ctx, at.conversation_id)
        found = await rows.of_conversation(ctx.db, row.id, at.state, at.before, request.limit + 1)
    else:
        who = await claimer(ctx)
        meant = await keys(ctx.db, who)
        found = await rows.mine(ctx.db, meant, who.id, at.state, before=at.before, limit=request.limit + 1)
    return ctx.page(
        found,
        limit=request.limit,
        key=lambda handoff: Position(at.state, at.conversation_id, handoff.id),
    )


@handlers.handles(messaging.GetHandoff)
async def get_handoff(request: messaging.GetHandoff, ctx: Context[Own]) -> Handoff:
    handoff = _found(await rows.get(ctx.db, request.handoff_id), request.handoff_id)
    who = await claimer(ctx)
    if not _may_claim(handoff, who):
        await _demand_seen(ctx, handoff)
    return handoff


@handlers.handles(messaging.ClaimHandoff)
async def claim_handoff(request: messaging.ClaimHandoff, ctx: Context[Own]) -> Handoff:
    who = await claimer(ctx)
    await ctx.own.directory.standing(ctx, who.id)
    async with ctx.transaction() as tx:
        handoff, row = await _lock(tx, ctx, request.handoff_id)
        if not _may_claim(handoff, who):
            if not row.joined:
                raise Refused(HandoffNotFound(handoff_id=handoff.id))
            raise Refused(Forbidden(scope=access.STEERING))
        demand_open(row)
        turn = _turn(tx, ctx, row)
        claimed = await passing.claim(turn, handoff, who.id, who.kind)
        await turn.close()
        return tx.answer(claimed)


@handlers.handles(messaging.ReturnHandoff)
async def return_handoff(request: messaging.ReturnHandoff, ctx: Context[Own]) -> Handoff:
    who = await claimer(ctx)
    async with ctx.transaction() as tx:
        handoff, row = await _lock(tx, ctx, request.handoff_id)
        waits = handoff.state == "waiting"
        if not (_may_claim(handoff, who) if waits else handoff.claimed_by == who.id or row.manages):
            if _may_claim(handoff, who):
                raise Refused(HandoffEnded(state=handoff.state))
            if not row.joined:
                raise Refused(HandoffNotFound(handoff_id=handoff.id))
            raise Refused(Forbidden(scope=access.STEERING))
        turn = _turn(tx, ctx, row)
        end = passing.decline if waits else passing.give_back
        ended = await end(turn, handoff, request.note or "")
        await turn.close()
        return tx.answer(ended)


@handlers.handles(messaging.CancelHandoff)
async def cancel_handoff(request: messaging.CancelHandoff, ctx: Context[Own]) -> Handoff:
    async with ctx.transaction() as tx:
        handoff, row = await _lock(tx, ctx, request.handoff_id)
        if not row.joined:
            raise Refused(HandoffNotFound(handoff_id=handoff.id))
        passing.demand_steering(row, ctx.actor.principal_id)
        turn = _turn(tx, ctx, row)
        ended = await passing.cancel(turn, handoff)
        await turn.close()
        return tx.answer(ended)


async def demand_reachable(ctx: Context[Own], to: Addressee, at: str = "/to") -> None:
    """Refused(Invalid | RecipientUnknown) unless somebody can be handed a conversation so. Before a transaction: it asks identity.

    at: where the addressee stands in the request.
    """
    demand_form(to, at)
    if to.id is not None:
        await who_may_answer(ctx, to.id, f"{at}/id")


async def who_may_answer(ctx: Context[Own], principal_id: UUID, at: str) -> Standing:
    """Refused(RecipientUnknown), and Refused(Invalid) for who may say nothing anywhere: they would answer for it and could not."""
    standing = await ctx.own.directory.standing(ctx, principal_id)
    if access.WRITE not in standing.scopes:
        fault = Fault(at, "Expected somebody who may say something in conversations")
        raise Refused(Invalid(faults=(fault,)))
    return standing


def demand_another(row: ConversationRow, to: Addressee, at: str = "/to") -> None:
    """Refused(Invalid) for who is responsible already."""
    if to.id is not None and to.id == row.responsible_id:
        fault = Fault(f"{at}/id", "Expected somebody else than who is responsible already")
        raise Refused(Invalid(faults=(fault,)))


def demand_open(row: ConversationRow) -> None:
    """Refused(ConversationArchived)."""
    if row.archived_at is not None:
        raise Refused(messaging.ConversationArchived(conversation_id=row.id))


async def _lock(tx: Transaction, ctx: Context[Own], handoff_id: UUID) -> tuple[Handoff, ConversationRow]:
    """A handoff and its locked conversation, whatever the caller is there. Refused(HandoffNotFound)."""
    handoff = _found(await rows.get(tx, handoff_id), handoff_id)
    row = await access.lock_whoever(tx, ctx, handoff.conversation_id)
    # Whoever changes a handoff holds its conversation.
    return _found(await rows.get(tx, handoff_id), handoff_id), row


async def _demand_seen(ctx: Context[Own], handoff: Handoff) -> None:
    try:
        await access.see(ctx, handoff.conversation_id)
    except Refused as refusal:
        if isinstance(refusal.problem, messaging.ConversationNotFound):
            raise Refused(HandoffNotFound(handoff_id=handoff.id)) from None
        raise


def _may_claim(handoff: Handoff, who: Claimer) -> bool:
    return who.is_meant(handoff.to) or handoff.claimed_by == who.id


def _found(handoff: Handoff | None, handoff_id: UUID) -> Handoff:
    if handoff is None:
        raise Refused(HandoffNotFound(handoff_id=handoff_id))
    return handoff


def _turn(tx: Transaction, ctx: Context[Own], row: ConversationRow) -> Turn:
    return Turn(tx, ctx.own.telling, row, actor_id=ctx.actor.principal_id, at=ctx.now())
