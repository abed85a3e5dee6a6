"""Answers about roles of an org's own. Nobody makes a role that may do more than its maker."""

from __future__ import annotations

from polis.identity.access import grants
from polis.identity.access.telling import tell
from polis.identity.own import Own
from polis.identity.tenancy import joining, orgs, roles
from polis.proto import Page, Refused, identity
from polis.proto.problems import Forbidden
from polis.service import Context, Handlers

handlers = Handlers()
_MANAGES = "identity:access"


@handlers.handles(identity.CreateRole)
async def create_role(request: identity.CreateRole, ctx: Context[Own]) -> identity.OrgRole:
    scopes = tuple(sorted(set(request.scopes)))
    role = identity.OrgRole(request.key, request.name, scopes, ctx.actor.principal_id, ctx.now())
    async with ctx.transaction() as tx:
        _demand_own(await orgs.lock(tx, ctx.actor, _MANAGES), scopes)
        await roles.create(tx, ctx.actor.org_id, role)
        await tell(ctx, tx, "role.created", role.key, scopes=" ".join(scopes))
        return tx.answer(role)


@handlers.handles(identity.ListRoles)
async def list_roles(request: identity.ListRoles, ctx: Context[Own]) -> Page[identity.OrgRole]:
    del request
    return Page(await roles.of_org(ctx.db, ctx.actor.org_id))


@handlers.handles(identity.UpdateRole)
async def update_role(request: identity.UpdateRole, ctx: Context[Own]) -> identity.OrgRole:
    org_id = ctx.actor.org_id
    async with ctx.transaction() as tx:
        scopes = await orgs.lock(tx, ctx.actor, _MANAGES)
        old = await roles.own(tx, org_id, request.role)
        new = roles.renamed(old, request.name, request.scopes)
        _demand_own(scopes, (*old.scopes, *new.scopes))
        await roles.update(tx, org_id, new)
        if set(old.scopes) - set(new.scopes):
            holders = await orgs.renew_sids(tx, org_id, new.key)
            await joining.forget_role(ctx, tx, org_id, holders, now=frozenset(new.scopes))
        await tell(ctx, tx, "role.changed", new.key, scopes=" ".join(new.scopes))
        return tx.answer(new)


@handlers.handles(identity.DeleteRole)
async def delete_role(request: identity.DeleteRole, ctx: Context[Own]) -> None:
    org_id = ctx.actor.org_id
    async with ctx.transaction() as tx:
        scopes = await orgs.lock(tx, ctx.actor, _MANAGES)
        _demand_own(scopes, (await roles.own(tx, org_id, request.role)).scopes)
        await roles.delete(tx, org_id, request.role)
        await grants.take_of(tx, org_id, identity.Holder("role", role=request.role))
        await tell(ctx, tx, "role.deleted", request.role)
        return tx.answer(None)


def _demand_own(scopes: frozenset[str], needed: tuple[str, ...]) -> None:
    orgs.demand(scopes, *needed)
    for scope in roles.FOR_OWNERS.intersection(needed):
        raise Refused(Forbidden(scope=scope))
