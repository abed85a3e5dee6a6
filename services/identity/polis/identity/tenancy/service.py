"""Answers about orgs, members and invitations."""

from __future__ import annotations

from polis.identity.own import Own
from polis.identity.people import accounts
from polis.identity.people.service import own_session
from polis.identity.tenancy import invitations, joining, orgs
from polis.proto import Page, Refused, identity
from polis.proto.problems import Unauthenticated
from polis.service import Context, Handlers

handlers = Handlers()


@handlers.handles(identity.CreateOrg)
async def create_org(request: identity.CreateOrg, ctx: Context[Own]) -> identity.Org:
    own_session(ctx)
    org_id = ctx.new_id()
    async with ctx.transaction(org_id) as tx:
        membership = await joining.found_org(ctx, tx, org_id, request.name, ctx.actor.principal_id)
        return tx.answer(membership.org)


@handlers.handles(identity.ListMembers)
async def list_members(request: identity.ListMembers, ctx: Context[Own]) -> Page[identity.Member]:
    after = ctx.position(request.after, orgs.Position)
    found = await orgs.members(ctx.db, ctx.actor.org_id, after, request.limit + 1)
    return ctx.page(found, limit=request.limit, key=lambda m: orgs.Position(m.since, m.principal_id))


@handlers.handles(identity.ChangeRole)
async def change_role(request: identity.ChangeRole, ctx: Context[Own]) -> identity.Member:
    org_id, account_id = ctx.actor.org_id, request.principal_id
    async with ctx.transaction() as tx:
        scopes = await orgs.lock(tx, ctx.actor)
        member = await orgs.member(tx, org_id, account_id)
        if "owner" in (member.role, request.role):
            orgs.demand(scopes, orgs.MANAGES_OWNERS)
        if member.role == request.role:
            return tx.answer(member)
        old = await orgs.change_role(tx, org_id, account_id, request.role, sid=ctx.new_id())
        await joining.forget_role(ctx, tx, account_id, old, now=identity.ROLE_SCOPES[request.role])
        return tx.answer(await orgs.member(tx, org_id, account_id))


@handlers.handles(identity.RemoveMember)
async def remove_member(request: identity.RemoveMember, ctx: Context[Own]) -> None:
    org_id, account_id = ctx.actor.org_id, request.principal_id
    async with ctx.transaction() as tx:
        scopes = await orgs.lock(tx, ctx.actor)
        if (await orgs.member(tx, org_id, account_id)).role == "owner":
            orgs.demand(scopes, orgs.MANAGES_OWNERS)
        old = await orgs.remove(tx, org_id, account_id)
        await joining.forget_role(ctx, tx, account_id, old, now=frozenset())
        return tx.answer(None)


@handlers.handles(identity.InviteMember)
async def invite_member(request: identity.InviteMember, ctx: Context[Own]) -> identity.Invitation:
    email, at = accounts.demand_normal(request.email), ctx.now()
    async with ctx.transaction() as tx:
        scopes = await orgs.lock(tx, ctx.actor)
        if request.role == "owner":
            orgs.demand(scopes, orgs.MANAGES_OWNERS)
        invitation = await invitations.invite(
            tx,
            ctx.new_id(),
            ctx.actor.org_id,
            email,
            request.role,
            by=ctx.actor.principal_id,
            at=at,
            until=at + ctx.own.config.invitation_ttl,
        )
        return tx.answer(invitation)


@handlers.handles(identity.AcceptInvitation)
async def accept_invitation(request: identity.AcceptInvitation, ctx: Context[Own]) -> identity.Membership:
    own_session(ctx)
    org_id = await joining.org_to_join(ctx, request.token)
    async with ctx.transaction(org_id) as tx:
        account = await accounts.find(tx, ctx.actor.principal_id)
        if account is None:
            raise Refused(Unauthenticated())
        return tx.answer(await joining.join_by_invitation(ctx, tx, request.token, account))
