"""Answers about orgs, members and invitations."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from polis.identity.access.telling import tell
from polis.identity.own import Own
from polis.identity.people import accounts
from polis.identity.people.entry import own_session
from polis.identity.tenancy import invitations, joining, narrowing, orgs, roles
from polis.identity.tokens import issue
from polis.proto import Page, Refused, identity
from polis.proto.problems import SecondFactorMissing, Unauthenticated
from polis.service import Context, Handlers

if TYPE_CHECKING:
    from polis.db import Transaction

handlers = Handlers()


@handlers.handles(identity.CreateOrg)
async def create_org(request: identity.CreateOrg, ctx: Context[Own]) -> identity.Org:
    own_session(ctx)
    org_id = ctx.new_id()
    async with ctx.transaction(org_id) as tx:
        membership = await joining.found_org(ctx, tx, org_id, request.name, ctx.actor.principal_id)
        await tell(ctx, tx, "org.created", org_id, org_id=org_id)
        return tx.answer(membership.org)


@handlers.handles(identity.GetOrg)
async def get_org(request: identity.GetOrg, ctx: Context[Own]) -> identity.OrgSettings:
    del request
    return await orgs.settings(ctx.db, ctx.actor.org_id)


@handlers.handles(identity.RenameOrg)
async def rename_org(request: identity.RenameOrg, ctx: Context[Own]) -> identity.OrgSettings:
    async with ctx.transaction() as tx:
        settings = await orgs.rename(tx, ctx.actor.org_id, request.name)
        await tell(ctx, tx, "org.renamed", ctx.actor.org_id)
        return tx.answer(settings)


@handlers.handles(identity.LimitKeys)
async def limit_keys(request: identity.LimitKeys, ctx: Context[Own]) -> identity.OrgSettings:
    scopes = None if request.scopes is None else tuple(sorted(set(request.scopes)))
    async with ctx.transaction() as tx:
        await orgs.lock(tx, ctx.actor, "identity:access")
        settings = await orgs.limit_keys(tx, ctx.actor.org_id, scopes)
        told = "all" if scopes is None else " ".join(scopes)
        await tell(ctx, tx, "keys.limited", ctx.actor.org_id, scopes=told)
        return tx.answer(settings)


@handlers.handles(identity.RequireSecondFactor)
async def require_second_factor(
    request: identity.RequireSecondFactor, ctx: Context[Own]
) -> identity.OrgSettings:
    org_id, required = ctx.actor.org_id, request.required
    if required and "otp" not in ctx.actor.proved_by:
        raise Refused(SecondFactorMissing(), "who requires it has one")
    async with ctx.transaction() as tx:
        await orgs.lock(tx, ctx.actor, "identity:owners")
        if await orgs.require_second_factor(tx, org_id, required=required):
            if required:
                await _end_tokens_of_managers(ctx, tx)
            await tell(ctx, tx, "second_factor.required" if required else "second_factor.released", org_id)
        return tx.answer(await orgs.settings(tx, org_id))


async def _end_tokens_of_managers(ctx: Context[Own], tx: Transaction) -> None:
    """Have those who manage the org refresh: their next tokens tell whether they have a second factor."""
    org_id = ctx.actor.org_id
    for role in await roles.of_org(tx, org_id):
        if issue.manages(role.key, role.scopes):
            holders = await orgs.renew_sids(tx, org_id, role.key)
            await narrowing.end_tokens(tx, org_id, holders, ctx.own.config, ctx.now())


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
        old, new = await roles.find(tx, org_id, member.role), await roles.find(tx, org_id, request.role)
        orgs.demand(scopes, *old.scopes, *new.scopes)
        if member.role == request.role:
            return tx.answer(member)
        sid = await orgs.change_role(tx, org_id, account_id, request.role, sid=ctx.new_id())
        await joining.forget_role(ctx, tx, org_id, (orgs.Holder(account_id, sid),), now=frozenset(new.scopes))
        await tell(ctx, tx, "member.role_changed", account_id, old=member.role, new=request.role)
        return tx.answer(await orgs.member(tx, org_id, account_id))


@handlers.handles(identity.RemoveMember)
async def remove_member(request: identity.RemoveMember, ctx: Context[Own]) -> None:
    org_id, account_id = ctx.actor.org_id, request.principal_id
    async with ctx.transaction() as tx:
        scopes = await orgs.lock(tx, ctx.actor)
        member = await orgs.member(tx, org_id, account_id)
        orgs.demand(scopes, *(await roles.find(tx, org_id, member.role)).scopes)
        await _take_out(ctx, tx, org_id, account_id, member.role)
        return tx.answer(None)


@handlers.handles(identity.LeaveOrg)
async def leave_org(request: identity.LeaveOrg, ctx: Context[Own]) -> None:
    own_session(ctx)
    org_id, account_id = request.org_id, ctx.actor.principal_id
    async with ctx.transaction(org_id) as tx:
        role = await orgs.lock_own(tx, org_id, account_id)
        await _take_out(ctx, tx, org_id, account_id, role)
        return tx.answer(None)


async def _take_out(
    ctx: Context[Own], tx: Transaction, org_id: UUID, account_id: UUID, role: identity.Role
) -> None:
    sid = await orgs.remove(tx, org_id, account_id)
    await joining.forget_role(ctx, tx, org_id, (orgs.Holder(account_id, sid),), now=None)
    await tell(ctx, tx, "member.removed", account_id, org_id=org_id, role=role)


@handlers.handles(identity.InviteMember)
async def invite_member(request: identity.InviteMember, ctx: Context[Own]) -> identity.Invitation:
    email, at = accounts.demand_normal(request.email), ctx.now()
    async with ctx.transaction() as tx:
        scopes = await orgs.lock(tx, ctx.actor)
        orgs.demand(scopes, *(await roles.find(tx, ctx.actor.org_id, request.role)).scopes)
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
        await tell(ctx, tx, "invitation.made", invitation.id, role=request.role)
        return tx.answer(invitation)


@handlers.handles(identity.ListInvitations)
async def list_invitations(
    request: identity.ListInvitations, ctx: Context[Own]
) -> Page[identity.OpenInvitation]:
    after = ctx.position(request.after, UUID)
    found = await invitations.page(ctx.db, ctx.actor.org_id, after, ctx.now(), request.limit + 1)
    return ctx.page(found, limit=request.limit, key=lambda invitation: invitation.id)


@handlers.handles(identity.WithdrawInvitation)
async def withdraw_invitation(request: identity.WithdrawInvitation, ctx: Context[Own]) -> None:
    async with ctx.transaction() as tx:
        await orgs.lock(tx, ctx.actor)
        await invitations.withdraw(tx, ctx.actor.org_id, request.invitation_id)
        await tell(ctx, tx, "invitation.withdrawn", request.invitation_id)
        return tx.answer(None)


@handlers.handles(identity.AcceptInvitation)
async def accept_invitation(request: identity.AcceptInvitation, ctx: Context[Own]) -> identity.Membership:
    own_session(ctx)
    org_id = await joining.org_to_join(ctx, request.token)
    async with ctx.transaction(org_id) as tx:
        account = await accounts.find(tx, ctx.actor.principal_id)
        if account is None:
            raise Refused(Unauthenticated())
        membership = await joining.join_by_invitation(ctx, tx, request.token, account)
        joined = membership.org.id
        await tell(ctx, tx, "member.joined", account.id, org_id=joined, role=membership.role)
        return tx.answer(membership)
