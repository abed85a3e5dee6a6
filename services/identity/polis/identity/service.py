"""Identity answers for orgs, principals, sessions and credentials, and alone issues tokens. It owns schema `identity`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from polis.identity import (
    accounts,
    administrators,
    agents,
    entry,
    invitations,
    issue,
    joining,
    opaque,
    orgs,
    passwords,
    principals,
    sessions,
)
from polis.identity.config import Config
from polis.identity.own import Own, open_own
from polis.identity.sessions import Outcome
from polis.proto import Page, Refused, identity
from polis.proto.contract import operation_of
from polis.proto.problems import Forbidden, Unauthenticated
from polis.service import Context, Service
from polis.telemetry import log

if TYPE_CHECKING:
    from uuid import UUID

service = Service("identity", settings=Config, open=open_own)


@service.handles(identity.SignUp)
async def sign_up(request: identity.SignUp, ctx: Context[Own]) -> identity.Session:
    config = ctx.own.config
    if config.sign_up == "closed" or (config.sign_up == "invitation" and request.invitation is None):
        raise Refused(identity.SignUpClosed())
    account = accounts.Account(ctx.new_id(), accounts.demand_normal(request.email), request.name)
    password_hash = await ctx.own.hasher.hash(request.password)
    org_id = await joining.org_to_join(ctx, request.invitation)
    async with ctx.transaction(org_id) as tx:
        await accounts.create(tx, account, password_hash, ctx.now())
        if request.invitation is None:
            membership = await joining.found_org(
                ctx, tx, org_id, request.org_name or request.name, account.id
            )
        else:
            membership = await joining.join_by_invitation(ctx, tx, request.invitation, account)
        return tx.answer(await entry.open_session(ctx, tx, account, (membership,), membership.org.id))


@service.handles(identity.SignIn)
async def sign_in(request: identity.SignIn, ctx: Context[Own]) -> identity.Session:
    email = accounts.normal(request.email)
    async with ctx.across_orgs() as tx:
        login = await accounts.login(tx, email)
    fits = await ctx.own.hasher.verify(None if login is None else login.hash, request.password)
    if login is None or email is None or not fits:
        raise Refused(identity.WrongCredentials())
    rehashed = await ctx.own.hasher.hash(request.password) if passwords.outdated(login.hash) else None
    async with ctx.across_orgs() as tx:
        if rehashed is not None:
            await accounts.rehash(tx, login, rehashed)
        if not await accounts.still(tx, login):
            raise Refused(identity.WrongCredentials())
        memberships = await orgs.of_account(tx, login.id)
        org_id = issue.home(memberships, *(() if request.org_id is None else (request.org_id,)))
        if request.org_id not in (None, org_id):
            raise Refused(identity.OrgNotFound(org_id=request.org_id))
        account = accounts.Account(login.id, email, login.name)
        session = await entry.open_session(ctx, tx, account, memberships, org_id)
        await sessions.end_surplus(tx, login.id, org_id, ctx.own.config, ctx.now())
        return session


@service.handles(identity.Refresh)
async def refresh(request: identity.Refresh, ctx: Context[Own]) -> identity.Session:
    config, at = ctx.own.config, ctx.now()
    async with ctx.across_orgs() as tx:
        session = await sessions.lock(tx, request.refresh_token)
        if session is None:
            raise Refused(identity.RefreshRefused())
        outcome = await sessions.judge(tx, request.refresh_token, session, config, at)
        if outcome is Outcome.UNUSED:
            return await entry.renew(ctx, tx, request.refresh_token, session)
        if outcome is Outcome.REUSED:
            log.warning(
                "refresh_token.reused", session_id=str(session.id), account_id=str(session.account_id)
            )
            await sessions.end(tx, session, config, at)
    # Behind the transaction, because a refusal inside would undo the end of the session.
    raise Refused(identity.RefreshRefused(raced=outcome is Outcome.RACED))


@service.handles(identity.SignOut)
async def sign_out(request: identity.SignOut, ctx: Context[Own]) -> None:
    del request
    _own_session(ctx)
    async with ctx.across_orgs() as tx:
        await sessions.end_own(tx, ctx.actor, ctx.own.config, ctx.now())


@service.handles(identity.SwitchOrg)
async def switch_org(request: identity.SwitchOrg, ctx: Context[Own]) -> identity.AccessToken:
    sid, at = _own_session(ctx), ctx.now()
    async with ctx.across_orgs() as tx:
        if not await sessions.switch(tx, sid, ctx.actor.principal_id, request.org_id):
            raise Refused(Unauthenticated(), "the session has ended")
        memberships = await orgs.of_account(tx, ctx.actor.principal_id)
        account = await accounts.find(tx, ctx.actor.principal_id)
        if account is None or request.org_id not in orgs.roles(memberships):
            raise Refused(identity.OrgNotFound(org_id=request.org_id))
    return ctx.own.issuer.access(issue.user(account, memberships, request.org_id, sid), ctx.new_id(), at)


@service.handles(identity.SignInClient)
async def sign_in_client(request: identity.SignInClient, ctx: Context[Own]) -> identity.AccessToken:
    at, config = ctx.now(), ctx.own.config
    if issue.is_service(request.client_id, request.client_secret, config.mesh_secret):
        return ctx.own.issuer.access(issue.service(request.client_id), ctx.new_id(), at)
    agent_id = agents.id_of(request.client_id)
    if agent_id is None:
        raise Refused(identity.WrongCredentials())
    async with ctx.across_orgs() as tx:
        agent = await agents.by_secret(tx, agent_id, request.client_secret, at)
    if agent is None:
        raise Refused(identity.WrongCredentials())
    bearer = issue.agent(agent.id, agent.name, agent.org_id, agent.sid)
    return ctx.own.issuer.access(bearer, ctx.new_id(), at)


@service.handles(identity.ClaimAdministrator)
async def claim_administrator(request: identity.ClaimAdministrator, ctx: Context[Own]) -> identity.Session:
    account = accounts.Account(ctx.new_id(), accounts.demand_normal(request.email), request.name)
    async with ctx.across_orgs() as tx:
        if not await administrators.holds(tx, request.token):
            raise Refused(identity.AdministratorLinkUsed())
    password_hash = await ctx.own.hasher.hash(request.password)
    org_id = ctx.new_id()
    async with ctx.across_orgs() as tx:
        await accounts.create(tx, account, password_hash, ctx.now())
        await administrators.claim(tx, request.token, account.id, ctx.now())
        membership = await joining.found_org(ctx, tx, org_id, request.name, account.id)
        session = await entry.open_session(ctx, tx, account, (membership,), org_id)
    administrators.remove_link(ctx.own.config)
    log.info("administrator.claimed", account_id=str(account.id))
    return session


@service.handles(identity.GetMe)
async def get_me(request: identity.GetMe, ctx: Context[Own]) -> identity.Me:
    del request
    actor = ctx.actor
    memberships: tuple[identity.Membership, ...] = ()
    key = None
    if actor.kind == "agent":
        agent = await agents.find(ctx.db, actor.org_id, str(actor.principal_id))
        if agent is None:
            raise Refused(Unauthenticated(), "the agent was deleted")
        key = agent.key
    elif actor.kind == "user" and not actor.acting:
        async with ctx.across_orgs() as tx:
            memberships = await orgs.of_account(tx, actor.principal_id)
    return identity.Me(
        principal=identity.Principal(
            actor.principal_id, msgspec.convert(actor.kind, identity.PrincipalKind), actor.name, key
        ),
        org_id=actor.org_id,
        role=actor.role,
        scopes=tuple(sorted(actor.scopes)),
        memberships=memberships,
    )


@service.handles(identity.GetJwks)
async def get_jwks(request: identity.GetJwks, ctx: Context[Own]) -> identity.Jwks:
    del request
    return ctx.own.keys.jwks()


@service.handles(identity.CreateOrg)
async def create_org(request: identity.CreateOrg, ctx: Context[Own]) -> identity.Org:
    _own_session(ctx)
    org_id = ctx.new_id()
    async with ctx.transaction(org_id) as tx:
        membership = await joining.found_org(ctx, tx, org_id, request.name, ctx.actor.principal_id)
        return tx.answer(membership.org)


@service.handles(identity.ListMembers)
async def list_members(request: identity.ListMembers, ctx: Context[Own]) -> Page[identity.Member]:
    after = ctx.position(request.after, orgs.Position)
    found = await orgs.members(ctx.db, ctx.actor.org_id, after, request.limit + 1)
    return ctx.page(found, limit=request.limit, key=lambda m: orgs.Position(m.since, m.principal_id))


@service.handles(identity.ChangeRole)
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


@service.handles(identity.RemoveMember)
async def remove_member(request: identity.RemoveMember, ctx: Context[Own]) -> None:
    org_id, account_id = ctx.actor.org_id, request.principal_id
    async with ctx.transaction() as tx:
        scopes = await orgs.lock(tx, ctx.actor)
        if (await orgs.member(tx, org_id, account_id)).role == "owner":
            orgs.demand(scopes, orgs.MANAGES_OWNERS)
        old = await orgs.remove(tx, org_id, account_id)
        await joining.forget_role(ctx, tx, account_id, old, now=frozenset())
        return tx.answer(None)


@service.handles(identity.InviteMember)
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


@service.handles(identity.AcceptInvitation)
async def accept_invitation(request: identity.AcceptInvitation, ctx: Context[Own]) -> identity.Membership:
    _own_session(ctx)
    org_id = await joining.org_to_join(ctx, request.token)
    async with ctx.transaction(org_id) as tx:
        account = await accounts.find(tx, ctx.actor.principal_id)
        if account is None:
            raise Refused(Unauthenticated())
        return tx.answer(await joining.join_by_invitation(ctx, tx, request.token, account))


@service.handles(identity.CreateAgent)
async def create_agent(request: identity.CreateAgent, ctx: Context[Own]) -> identity.AgentCredential:
    at = ctx.now()
    agent = identity.Agent(
        id=ctx.new_id(),
        org_id=ctx.actor.org_id,
        key=request.key,
        name=request.name,
        created_by=ctx.actor.principal_id,
        created_at=at,
    )
    secret = opaque.mint("pas")
    async with ctx.transaction() as tx:
        await agents.create(tx, agent, sid=ctx.new_id())
        await agents.add_credential(tx, agent, ctx.new_id(), secret, at)
        return tx.answer(
            identity.AgentCredential(agent, client_id=str(agent.id), client_secret=secret.secret)
        )


@service.handles(identity.ListAgents)
async def list_agents(request: identity.ListAgents, ctx: Context[Own]) -> Page[identity.Agent]:
    after = ctx.position(request.after, str)
    found = await agents.page(ctx.db, ctx.actor.org_id, after, request.limit + 1)
    return ctx.page(found, limit=request.limit, key=lambda agent: agent.key)


@service.handles(identity.GetAgent)
async def get_agent(request: identity.GetAgent, ctx: Context[Own]) -> identity.Agent:
    return await agents.get(ctx.db, ctx.actor.org_id, request.agent)


@service.handles(identity.DeleteAgent)
async def delete_agent(request: identity.DeleteAgent, ctx: Context[Own]) -> None:
    async with ctx.transaction() as tx:
        gone = await agents.delete(tx, ctx.actor.org_id, request.agent)
        await sessions.revoke(tx, gone.org_id, gone.sid, ctx.own.config, ctx.now())
        return tx.answer(None)


@service.handles(identity.Delegate)
async def delegate(request: identity.Delegate, ctx: Context[Own]) -> identity.AccessToken:
    callers = operation_of(identity.Delegate).callers
    if ctx.actor.kind != "service" or ctx.actor.acting or ctx.actor.name not in callers:
        raise Refused(Forbidden(scope="internal"))
    db = ctx.own.database.tenant(request.org_id, deadline=ctx.deadline)
    bearer = await principals.active(db, request.org_id, request.principal_id)
    if bearer is None:
        raise Refused(identity.PrincipalNotFound(principal_id=request.principal_id))
    own_scopes = identity.ROLE_SCOPES.get(bearer.roles[request.org_id], frozenset())
    scope = " ".join(sorted(own_scopes.intersection(request.scopes)))
    return ctx.own.issuer.access(bearer, ctx.new_id(), ctx.now(), scope=scope, acting=ctx.actor.name)


@service.handles(identity.ListRevocations)
async def list_revocations(request: identity.ListRevocations, ctx: Context[Own]) -> identity.Revocations:
    async with ctx.across_orgs() as tx:
        found = await sessions.revocations(tx, request.after, ctx.now())
    more = len(found) == sessions.REVOCATIONS_PAGE
    return identity.Revocations(tuple(found), found[-1].session_id if more else None)


def _own_session(ctx: Context[Own]) -> UUID:
    """The session of a user who acts in person. Refused(Forbidden) for agents, services, and who acts for a user."""
    actor = ctx.actor
    if actor.kind != "user" or actor.acting or actor.session_id is None:
        raise Refused(Forbidden(scope="session"), "only a signed-in user can do this")
    return actor.session_id
