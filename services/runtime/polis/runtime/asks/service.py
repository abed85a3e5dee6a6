"""Answers about asks: the inbox, one ask, answering, handing on, links, and approvals that stand."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.proto import Page, Refused, identity, runtime
from polis.proto.contract import LATEST
from polis.proto.problems import Fault, Forbidden, StaleCursor
from polis.runtime.asks import access, answering, approvals, links, rows
from polis.runtime.own import Own
from polis.service import Context, EventContext, Handlers
from polis.service.addressees import demand_form, key_of

if TYPE_CHECKING:
    from polis.db import Transaction
    from polis.runtime.asks.access import Answerer

handlers = Handlers()
_MANAGES = "identity:access"


class Position(Struct, frozen=True):
    """Where a list of asks goes on, and which list it is."""

    wanted: rows.Filter
    before: UUID | None = None


@handlers.handles(runtime.ListAsks)
async def list_asks(request: runtime.ListAsks, ctx: Context[Own]) -> Page[runtime.Ask]:
    wanted = rows.Filter(request.state, request.kind, request.run_id)
    at = ctx.position(request.after, Position) or Position(wanted)
    if at.wanted != wanted:
        raise Refused(StaleCursor())
    who = await access.answerer(ctx)
    found = await rows.page(ctx.db, who, wanted, before=at.before, limit=request.limit + 1)
    return ctx.page([row.ask for row in found], limit=request.limit, key=lambda ask: Position(wanted, ask.id))


@handlers.handles(runtime.GetAsk)
async def get_ask(request: runtime.GetAsk, ctx: Context[Own]) -> runtime.AskSheet:
    row = await rows.get(ctx.db, request.ask_id)
    who = await access.answerer(ctx)
    if row.key_for(who) is None:
        raise Refused(runtime.AskNotFound(ask_id=request.ask_id))
    return rows.sheet(row, await rows.votes(ctx.db, row.id), who.id)


@handlers.handles(runtime.AnswerAsk)
async def answer_ask(request: runtime.AnswerAsk, ctx: Context[Own]) -> runtime.Ask:
    actor = ctx.actor
    if request.decision == "always" and (actor.kind != "user" or actor.acting):
        raise Refused(Forbidden(scope="session"), "what stands for always is approved in person")
    who = await access.answerer(ctx)
    given = answering.Given(
        decision=request.decision,
        value=request.value,
        note=request.note,
        via="api",
        at=ctx.now(),
        always=request.always,
        acting=actor.acting,
    )
    async with ctx.transaction() as tx:
        return tx.answer(await answering.answer(tx, request.ask_id, who, given, ctx.own.executor.peers))


@handlers.handles(runtime.DelegateAsk)
async def delegate_ask(request: runtime.DelegateAsk, ctx: Context[Own]) -> runtime.Ask:
    demand_form(request.to)
    who = await access.answerer(ctx)
    other = await _other(ctx, request.to)
    async with ctx.transaction() as tx:
        row, key = await answering.lock(tx, request.ask_id, who)
        answering.demand_open(row)
        if (other is not None and row.excludes(other)) or len(row.keys) >= runtime.MAX_ADDRESSEES:
            raise Refused(runtime.AddresseeRefused(to=request.to))
        await rows.address(tx, row.id, [key_of(request.to)], by=who.id)
        if key.startswith("principal:") and key != key_of(request.to):
            await rows.release(tx, row.id, key)
        told = runtime.AskDelegated(
            row.org_id,
            row.id,
            row.run_id,
            by=who.id,
            to=request.to,
            at=ctx.now(),
            mail=row.asked.mail,
        )
        await tx.emit(told)
        return tx.answer((await rows.get(tx, row.id)).ask)


@handlers.handles(runtime.CreateAskLink)
async def create_ask_link(request: runtime.CreateAskLink, ctx: Context[Own]) -> runtime.AskLink:
    who = await access.answerer(ctx)
    if who.second_factor:
        raise Refused(Forbidden(scope="session"), "who needs a second factor answers in a session")
    at = ctx.now()
    until = at + timedelta(seconds=request.ttl_s)
    token = ctx.own.links.mint(ctx.actor.org_id)
    async with ctx.transaction() as tx:
        row, _ = await answering.lock(tx, request.ask_id, who)
        answering.demand_open(row)
        await links.keep(tx, row.id, who.id, token, until)
        await tx.emit(runtime.AskLinkMade(row.org_id, row.id, who.id, expires_at=until, at=at))
    return runtime.AskLink(row.id, who.id, links.PATH + token, until)


@handlers.handles(runtime.DescribeAsk)
async def describe_ask(request: runtime.DescribeAsk, ctx: Context[Own]) -> runtime.AskNotice:
    who = await access.absent(ctx, request.org_id, request.principal_id)
    at = ctx.now()
    async with ctx.own.database.transaction([request.org_id], deadline=ctx.deadline) as tx:
        if who is None:
            raise Refused(runtime.NotAddressed(ask_id=request.ask_id))
        row, _ = await answering.lock(tx, request.ask_id, who)
        answering.demand_open(row)
        if not request.link or who.second_factor or not await _has_room(tx, row.id, who.id):
            return runtime.AskNotice(row.title, "/")
        token = ctx.own.links.mint(row.org_id)
        until = min(at + links.LONGEST, row.due_at or LATEST)
        await links.keep(tx, row.id, who.id, token, until)
        await tx.emit(runtime.AskLinkMade(row.org_id, row.id, who.id, expires_at=until, at=at))
    return runtime.AskNotice(row.title, links.PATH + token)


async def _has_room(tx: Transaction, ask_id: UUID, principal_id: UUID) -> bool:
    """Whether somebody may have one link more; who is reminded again and again has enough of them."""
    try:
        await links.demand_room(tx, ask_id, principal_id)
    except Refused:
        return False
    return True


@handlers.handles(runtime.ShowAskLink)
async def show_ask_link(request: runtime.ShowAskLink, ctx: Context[Own]) -> runtime.AskSheet:
    link, who = await _by_link(ctx, request.token)
    db = ctx.own.database.tenant(link.org_id, deadline=ctx.deadline)
    row = await rows.get(db, link.ask_id)
    if row.key_for(who) is None:
        raise Refused(runtime.AskLinkRefused())
    sheet = rows.sheet(row, await rows.votes(db, row.id), who.id)
    # What stands for always is approved in person.
    return msgspec.structs.replace(sheet, decisions=tuple(d for d in sheet.decisions if d != "always"))


@handlers.handles(runtime.AnswerAskLink)
async def answer_ask_link(request: runtime.AnswerAskLink, ctx: Context[Own]) -> runtime.Ask:
    if request.decision == "always":
        fault = Fault("/decision", "what stands for always is approved in person")
        raise Refused(runtime.AnswerInvalid(faults=(fault,)))
    link, who = await _by_link(ctx, request.token)
    given = answering.Given(request.decision, request.value, request.note, "link", ctx.now())
    async with ctx.own.database.transaction([link.org_id], deadline=ctx.deadline) as tx:
        ask = await answering.answer(tx, link.ask_id, who, given, ctx.own.executor.peers)
        await links.use(tx, link, given.at)
    return ask


@handlers.handles(runtime.ListApprovals)
async def list_approvals(request: runtime.ListApprovals, ctx: Context[Own]) -> Page[runtime.StandingApproval]:
    before = ctx.position(request.after, UUID)
    found = await approvals.page(ctx.db, given_by=_whose(ctx), before=before, limit=request.limit + 1)
    return ctx.page([row.approval for row in found], limit=request.limit, key=lambda approval: approval.id)


@handlers.handles(runtime.RevokeApproval)
async def revoke_approval(request: runtime.RevokeApproval, ctx: Context[Own]) -> None:
    async with ctx.transaction() as tx:
        by = ctx.actor.principal_id
        await approvals.revoke(tx, request.approval_id, given_by=_whose(ctx), by=by, at=ctx.now())
        return tx.answer(None)


@handlers.on(identity.MemberRemoved)
async def drop_approvals_of_former_member(event: identity.MemberRemoved, ctx: EventContext[Own]) -> None:
    await approvals.drop(ctx.tx, await approvals.given_by(ctx.tx, event.principal_id), ctx.now())


@handlers.on(identity.MemberRoleChanged)
async def look_at_approvals_of_member(event: identity.MemberRoleChanged, ctx: EventContext[Own]) -> None:
    await _look_again(ctx, await approvals.given_by(ctx.tx, event.principal_id))


@handlers.on(identity.GrantTaken)
async def look_at_approvals_by_grants(event: identity.GrantTaken, ctx: EventContext[Own]) -> None:  # noqa: ARG001 - which grant it was is not kept
    await _look_again(ctx, await approvals.by_grant(ctx.tx))


@handlers.on(identity.ApprovalWithdrawn)
async def look_at_approvals_by_waiting_grants(
    event: identity.ApprovalWithdrawn,  # noqa: ARG001 - as above
    ctx: EventContext[Own],
) -> None:
    await _look_again(ctx, await approvals.by_grant(ctx.tx))


async def _look_again(ctx: EventContext[Own], given: list[approvals.ApprovalRow]) -> None:
    """End the approvals of whoever could not give them any more."""
    known: dict[UUID, Answerer | None] = {}
    for row in given:
        if row.given_by not in known:
            known[row.given_by] = await access.absent(ctx, row.org_id, row.given_by)
    lost = [row for row in given if (who := known[row.given_by]) is None or not who.is_meant(row.key)]
    await approvals.drop(ctx.tx, lost, ctx.now())


async def _other(ctx: Context[Own], to: runtime.Addressee) -> Answerer | None:
    """Whom an ask is handed to by name. Refused(AddresseeRefused) when nobody of this id may answer."""
    if to.id is None:
        return None
    other = await access.absent(ctx, ctx.actor.org_id, to.id)
    if other is None:
        raise Refused(runtime.AddresseeRefused(to=to))
    return other


async def _by_link(ctx: Context[Own], token: str) -> tuple[links.Link, Answerer]:
    """A link that holds, and whose it is, who may still answer. Refused(AskLinkRefused)."""
    org_id = ctx.own.links.org_of(token)
    link = await links.find(ctx.own.database.tenant(org_id, deadline=ctx.deadline), token, ctx.now())
    who = await access.absent(ctx, org_id, link.principal_id)
    if who is None or who.second_factor:
        raise Refused(runtime.AskLinkRefused())
    return link, who


def _whose(ctx: Context[Own]) -> UUID | None:
    """Whose approvals the caller has to do with: their own, or everybody's."""
    return None if _MANAGES in ctx.actor.scopes else ctx.actor.principal_id
