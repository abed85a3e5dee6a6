"""Answers about grants, and decisions: whether somebody may do something, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from polis.identity.access import grants, moments, units
from polis.identity.access.telling import tell
from polis.identity.own import Own
from polis.identity.principals import active, agents
from polis.identity.tenancy import orgs
from polis.proto import Page, Refused, identity
from polis.proto.problems import Fault, Forbidden, Invalid
from polis.service import Context, Handlers
from polis.service.access import NEARNESS, Question, Who, decide, effective, holds, weigh

if TYPE_CHECKING:
    from polis.db import Tenant, Transaction
    from polis.service import Actor

handlers = Handlers()
_MANAGES = "identity:access"
_SHOWN = 50
"""Grants in an explanation, the nearest first."""


@handlers.handles(identity.GiveGrant)
async def give_grant(request: identity.GiveGrant, ctx: Context[Own]) -> identity.Grant:
    at, org_id, holder = ctx.now(), ctx.actor.org_id, request.holder
    _demand_form(holder)
    conditions = request.conditions or identity.Conditions()
    moments.demand_to_come(conditions.expires_at, at, pointer="/conditions/expires_at")
    grant = identity.Grant(
        id=ctx.new_id(),
        org_id=org_id,
        holder=holder,
        verb=request.verb,
        resource=request.resource,
        given_by=ctx.actor.principal_id,
        given_at=at,
        conditions=conditions,
    )
    async with ctx.transaction() as tx:
        orgs.demand(await orgs.lock(tx, ctx.actor, _MANAGES), request.verb)
        await grants.demand_holder(tx, org_id, holder)
        await grants.give(tx, grant)
        await tell(ctx, tx, "grant.given", grant.id, to=_told(holder), verb=grant.verb, on=grant.resource)
        return tx.answer(grant)


@handlers.handles(identity.ListGrants)
async def list_grants(request: identity.ListGrants, ctx: Context[Own]) -> Page[identity.Grant]:
    after = ctx.position(request.after, UUID)
    found = await grants.page(ctx.db, ctx.actor.org_id, request.holder_id, after, request.limit + 1)
    return ctx.page(found, limit=request.limit, key=lambda grant: grant.id)


@handlers.handles(identity.TakeGrant)
async def take_grant(request: identity.TakeGrant, ctx: Context[Own]) -> None:
    async with ctx.transaction() as tx:
        await grants.take(tx, ctx.actor.org_id, request.grant_id)
        await tell(ctx, tx, "grant.taken", request.grant_id)
        return tx.answer(None)


@handlers.handles(identity.ApproveGrant)
async def approve_grant(request: identity.ApproveGrant, ctx: Context[Own]) -> identity.Grant:
    actor = ctx.actor
    if actor.kind != "user" or actor.acting:
        raise Refused(Forbidden(scope="session"), "a grant is approved in person")
    async with ctx.transaction() as tx:
        held = await orgs.lock(tx, actor, _MANAGES)
        grant = await grants.lock(tx, actor.org_id, request.grant_id)
        orgs.demand(held, grant.verb)
        if grant.given_by == actor.principal_id or await _benefits(tx, grant.holder, actor):
            raise Refused(identity.NotYoursToApprove())
        grant = await grants.approve(tx, grant, actor.principal_id, ctx.now())
        await tell(ctx, tx, "grant.approved", grant.id, given_by=grant.given_by)
        return tx.answer(grant)


@handlers.handles(identity.WithdrawApproval)
async def withdraw_approval(request: identity.WithdrawApproval, ctx: Context[Own]) -> identity.Grant:
    async with ctx.transaction() as tx:
        grant = await grants.lock(tx, ctx.actor.org_id, request.grant_id)
        waiting = await grants.withdraw_approval(tx, grant)
        await tell(ctx, tx, "grant.approval_withdrawn", grant.id, approved_by=grant.approved_by)
        return tx.answer(waiting)


@handlers.handles(identity.ExplainAccess)
async def explain_access(request: identity.ExplainAccess, ctx: Context[Own]) -> identity.Explanation:
    actor = ctx.actor
    if request.principal_id in (None, actor.principal_id):
        above = await _units_of(ctx.db, actor.org_id, actor.principal_id)
        who = Who(actor.principal_id, actor.role, actor.scopes, above)
    else:
        actor.demand(_MANAGES)
        who = await _who(ctx.db, actor.org_id, request.principal_id)
    question = _question(request)
    held = await grants.held_by(ctx.db, actor.org_id, who, request.verb)
    weighed = [identity.Weighed(grant, weigh(grant, who, question, ctx.now())) for grant in held]
    weighed.sort(key=lambda pair: (-NEARNESS.index(pair.weight), pair.grant.id))
    return identity.Explanation(
        decision=decide(who, question, held, ctx.now()),
        principal_id=who.id,
        role=who.role,
        holds_verb=request.verb in who.scopes,
        grants=tuple(weighed[:_SHOWN]),
    )


@handlers.handles(identity.CheckAccess)
async def check_access(request: identity.CheckAccess, ctx: Context[Own]) -> identity.Decision:
    db = ctx.own.database.tenant(request.org_id, deadline=ctx.deadline)
    who = await _who(db, request.org_id, request.principal_id, narrowed=request.scopes)
    held = await grants.held_by(db, request.org_id, who, request.verb)
    return decide(who, _question(request), held, ctx.now())


def _question(request: identity.ExplainAccess | identity.CheckAccess) -> Question:
    return Question(request.verb, request.resource, request.visibility, request.owner_id, request.data_class)


async def _who(
    db: Tenant, org_id: UUID, principal_id: UUID, *, narrowed: identity.Scopes | None = None
) -> Who:
    """An active principal of an org as it is at this moment. Refused(PrincipalNotFound)."""
    bearer = await active.bearer_of(db, org_id, principal_id)
    if bearer is None:
        raise Refused(identity.PrincipalNotFound(principal_id=principal_id))
    scopes = bearer.rights if narrowed is None else effective(bearer.rights, frozenset(narrowed))
    return Who(principal_id, bearer.roles[org_id], scopes, await _units_of(db, org_id, principal_id))


async def _units_of(db: Tenant, org_id: UUID, principal_id: UUID) -> frozenset[UUID]:
    agent = await agents.find(db, org_id, str(principal_id))
    return frozenset() if agent is None else await units.chain(db, org_id, agent.unit_id)


async def _benefits(tx: Transaction, holder: identity.Holder, actor: Actor) -> bool:
    """Whether a grant is the actor's own, itself or by a role that it has here. What everyone holds is nobody's own."""
    role = await orgs.role_of(tx, actor.org_id, actor.principal_id) or actor.role
    return holder.kind != "everyone" and holds(holder, Who(actor.principal_id, role, actor.scopes))


def _told(holder: identity.Holder) -> str:
    return f"{holder.kind} {holder.id or holder.role or ''}".strip()


def _demand_form(holder: identity.Holder) -> None:
    """Refused(Invalid) unless a holder names what its kind is named by, and nothing else."""
    by_id, by_role = holder.kind in ("principal", "unit"), holder.kind == "role"
    if (holder.id is not None) is not by_id or (holder.role is not None) is not by_role:
        raise _invalid("/holder", "Expected `id` of a principal or unit, or `role` of a role")


def _invalid(pointer: str, detail: str) -> Refused:
    return Refused(Invalid(faults=(Fault(pointer=pointer, detail=detail),)))
