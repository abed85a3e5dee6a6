"""Answers about participants: who is in, and how that begins, changes and ends."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from polis.messaging import access
from polis.messaging.conversations import rows as conversations
from polis.messaging.conversations.turn import Turn
from polis.messaging.handoff import passing
from polis.messaging.notifications import rows as wanted
from polis.messaging.own import Own
from polis.messaging.participants import rows
from polis.messaging.streams import ending
from polis.messaging.turns import rows as turns
from polis.proto import Page, Refused, identity, messaging
from polis.proto.messaging import Participant
from polis.proto.problems import Fault, Forbidden, Invalid
from polis.service import Context, EventContext, Handlers

if TYPE_CHECKING:
    from polis.db import Transaction
    from polis.messaging.access import ConversationRow
    from polis.proto.messaging import ParticipantState

handlers = Handlers()
_GONE = ("left", "removed")


@handlers.handles(messaging.ListParticipants)
async def list_participants(request: messaging.ListParticipants, ctx: Context[Own]) -> Page[Participant]:
    row = await access.see(ctx, request.conversation_id)
    after = ctx.position(request.after, UUID) or rows.FIRST
    found = await rows.page(ctx.db, row.id, after=after, banned=row.manages, limit=request.limit + 1)
    return ctx.page(found, limit=request.limit, key=lambda one: one.principal_id)


@handlers.handles(messaging.AddParticipant)
async def add_participant(request: messaging.AddParticipant, ctx: Context[Own]) -> Participant:
    standing = await ctx.own.directory.standing(ctx, request.principal_id)
    async with ctx.transaction() as tx:
        row = await access.lock(tx, ctx, request.conversation_id)
        row.demand_several()
        _demand_adding(row, request.role)
        demand_fitting(row.kind, standing.kind, request.role)
        there = await rows.get(tx, row.id, request.principal_id)
        if there is not None and there.state == "banned":
            raise Refused(messaging.BannedFromConversation(principal_id=request.principal_id))
        if there is not None and (there.state == "joined" or (there.state == "invited" and request.invite)):
            return tx.answer(there)
        if there is None or there.state in _GONE:
            await rows.demand_room(tx, row.id, row.kind)
        turn = _turn(tx, ctx, row)
        added = Participant(
            request.principal_id,
            kind=standing.kind,
            role=request.role if there is None or _may_give_another_role(row, there) else there.role,
            state="invited" if request.invite else "joined",
            since=turn.at,
            by_id=turn.actor_id,
            muted_until=None if there is None else there.muted_until,
        )
        await rows.put(turn, added)
        await turn.close()
        return tx.answer(added)


@handlers.handles(messaging.ChangeParticipant)
async def change_participant(request: messaging.ChangeParticipant, ctx: Context[Own]) -> Participant:
    async with ctx.transaction() as tx:
        row, there = await _other(tx, ctx, request.conversation_id, request.principal_id)
        if there.state not in ("joined", "invited"):
            raise Refused(messaging.ParticipantNotFound(principal_id=request.principal_id))
        role = request.role or there.role
        if "owner" in (role, there.role) and not row.owns:
            raise Refused(Forbidden(scope=access.OWNING))
        demand_fitting(row.kind, there.kind, role)
        turn = _turn(tx, ctx, row)
        muted = request.muted_until or there.muted_until
        changed = msgspec.structs.replace(
            there, role=role, muted_until=muted if muted is not None and muted > turn.at else None
        )
        if changed == there:
            return tx.answer(there)
        await rows.put(turn, changed)
        if there.role == "owner" and role != "owner":
            await rows.succeed(turn, changed)
            changed = await rows.get(tx, row.id, there.principal_id) or changed
        await turn.close()
        if changed.muted_until is not None:
            await _silence(turn, ctx.own, changed, "muted")
        elif changed.role == "observer":
            await _silence(turn, ctx.own, changed, "only looks on")
        return tx.answer(changed)


@handlers.handles(messaging.RemoveParticipant)
async def remove_participant(request: messaging.RemoveParticipant, ctx: Context[Own]) -> None:
    async with ctx.transaction() as tx:
        row, there = await _other(tx, ctx, request.conversation_id, request.principal_id)
        if there.state in _GONE:
            raise Refused(messaging.ParticipantNotFound(principal_id=request.principal_id))
        turn = _turn(tx, ctx, row)
        gone = await _end(turn, there, "removed")
        await turn.close()
        await _silence(turn, ctx.own, gone, gone.state)
        return tx.answer(None)


@handlers.handles(messaging.BanParticipant)
async def ban_participant(request: messaging.BanParticipant, ctx: Context[Own]) -> Participant:
    async with ctx.transaction() as tx:
        row, there = await _other(tx, ctx, request.conversation_id, request.principal_id)
        if there.state == "banned":
            return tx.answer(there)
        turn = _turn(tx, ctx, row)
        banned = await _end(turn, there, "banned")
        await turn.close()
        await _silence(turn, ctx.own, banned, banned.state)
        return tx.answer(banned)


@handlers.handles(messaging.JoinConversation)
async def join_conversation(request: messaging.JoinConversation, ctx: Context[Own]) -> messaging.Conversation:
    actor = ctx.actor
    _demand_in_person(ctx)
    async with ctx.transaction() as tx:
        row = await access.lock_to_join(tx, ctx, request.conversation_id)
        if row.state == "joined":
            return tx.answer(row.conversation)
        row.demand_several()
        if row.state == "banned":
            raise Refused(messaging.BannedFromConversation(principal_id=actor.principal_id))
        invited = row.state == "invited"
        role = row.role or "member"
        if (row.kind == "agents" and actor.kind == "user") or not (invited or access.WRITE in actor.scopes):
            role = "observer"
        if not invited:
            await rows.demand_room(tx, row.id, row.kind)
        turn = _turn(tx, ctx, row)
        came = Participant(
            actor.principal_id,
            kind=actor.kind,  # type: ignore[arg-type] # who holds a scope is one of these
            role=role,  # type: ignore[arg-type] # its table holds no other
            state="joined",
            since=turn.at,
            by_id=actor.principal_id,
            muted_until=row.muted_until,
        )
        await rows.put(turn, came)
        await turn.close()
        return tx.answer(msgspec.structs.replace(row.conversation, head_seq=turn.head, last_at=turn.at))


@handlers.handles(messaging.LeaveConversation)
async def leave_conversation(request: messaging.LeaveConversation, ctx: Context[Own]) -> None:
    _demand_in_person(ctx)
    async with ctx.transaction() as tx:
        row = await access.lock_to_join(tx, ctx, request.conversation_id)
        row.demand_several()
        there = await rows.get(tx, row.id, ctx.actor.principal_id)
        if there is None or there.state not in ("joined", "invited"):
            return tx.answer(None)
        turn = _turn(tx, ctx, row)
        gone = await _end(turn, there, "left")
        await turn.close()
        await _silence(turn, ctx.own, gone, gone.state)
        return tx.answer(None)


def _demand_in_person(ctx: Context[Own]) -> None:
    """Refused(Forbidden) for a key or a run that may only read: by it nobody comes or goes."""
    if ctx.actor.acting:
        ctx.actor.demand(access.WRITE)


@handlers.on(identity.MemberRemoved)
async def let_former_member_go(event: identity.MemberRemoved, ctx: EventContext[Own]) -> None:
    await _let_go(event.principal_id, ctx)


@handlers.on(identity.AgentDeleted)
async def let_deleted_agent_go(event: identity.AgentDeleted, ctx: EventContext[Own]) -> None:
    await _let_go(event.agent_id, ctx)


async def _let_go(principal_id: UUID, ctx: EventContext[Own]) -> None:
    """End all that somebody takes part in, who is in the org no more. Conversations of two stay, for the other one to read."""
    tx = ctx.tx
    await wanted.forget(tx, principal_id)
    ids = await conversations.of_principal(tx, principal_id)
    await access.lock_rows(tx, tx.org_id, ids)
    for row in await conversations.locked(tx, ids):
        there = await rows.get(tx, row.id, principal_id)
        if there is None or there.state not in ("joined", "invited"):
            continue
        turn = Turn(tx, ctx.own.telling, row, actor_id=principal_id, at=ctx.now())
        if principal_id in (row.first_id, row.second_id):
            other = row.second_id if principal_id == row.first_id else row.first_id
            await passing.gone(turn, principal_id, other)
        else:
            await _end(turn, there, "removed")
        await turn.close()
        await _silence(turn, ctx.own, there, "removed")


async def _end(turn: Turn, there: Participant, state: ParticipantState) -> Participant:
    """Let somebody take part no more; who was responsible is not, either."""
    ended = await rows.end(turn, there, state)
    await passing.gone(turn, there.principal_id)
    return ended


async def _silence(turn: Turn, own: Own, participant: Participant, reason: str) -> None:
    """What somebody is saying, or was to answer, ends with their right to say it: behind the closed turn that took it."""
    await ending.silence(
        turn.tx, own, turn.row.id, reason, by=turn.actor_id, producer_id=participant.principal_id
    )
    await turns.give_up(turn.tx, turn.row.id, participant.principal_id)


async def _other(
    tx: Transaction, ctx: Context[Own], conversation_id: UUID, principal_id: UUID
) -> tuple[ConversationRow, Participant]:
    """Somebody whom the caller may change, in a locked conversation: managers others, owners also those who manage."""
    row = await access.lock(tx, ctx, conversation_id)
    row.demand_several()
    row.demand_managing()
    there = rows.found(await rows.get(tx, row.id, principal_id), principal_id)
    if there.role in ("owner", "admin") and there.principal_id != ctx.actor.principal_id and not row.owns:
        raise Refused(Forbidden(scope=access.OWNING))
    return row, there


def _demand_adding(row: ConversationRow, role: str) -> None:
    """Refused(Forbidden) unless the caller may bring somebody in as this."""
    row.demand_joined()
    if role == "owner" and not row.owns:
        raise Refused(Forbidden(scope=access.OWNING))
    if not (row.kind == "channel" and row.role != "observer" and role in ("member", "observer")):
        row.demand_managing()


def _may_give_another_role(row: ConversationRow, there: Participant) -> bool:
    """Whether the caller, who brings somebody in, may say what they are: of who is invited to manage it an owner alone."""
    if there.role in ("owner", "admin"):
        return row.owns
    return row.manages or there.role != "observer"


def demand_fitting(conversation: str, principal: str, role: str) -> None:
    """Refused(Invalid): among agents people only look on."""
    if conversation == "agents" and principal == "user" and role != "observer":
        fault = Fault("/role", "Expected `observer`: in a conversation of agents people only look on")
        raise Refused(Invalid(faults=(fault,)))


def _turn(tx: Transaction, ctx: Context[Own], row: ConversationRow) -> Turn:
    return Turn(tx, ctx.own.telling, row, actor_id=ctx.actor.principal_id, at=ctx.now())
