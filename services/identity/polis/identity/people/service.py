"""Answers about people: signing up, in and out, sessions, who the caller is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from polis.identity.own import Own
from polis.identity.people import accounts, administrators, entry, passwords, sessions
from polis.identity.people.sessions import Outcome
from polis.identity.principals import agents
from polis.identity.tenancy import joining, orgs
from polis.identity.tokens import issue
from polis.proto import Refused, identity
from polis.proto.problems import Forbidden, Unauthenticated
from polis.service import Context, Handlers
from polis.telemetry import log

if TYPE_CHECKING:
    from uuid import UUID

handlers = Handlers()


@handlers.handles(identity.SignUp)
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


@handlers.handles(identity.SignIn)
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


@handlers.handles(identity.Refresh)
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


@handlers.handles(identity.SignOut)
async def sign_out(request: identity.SignOut, ctx: Context[Own]) -> None:
    del request
    own_session(ctx)
    async with ctx.across_orgs() as tx:
        await sessions.end_own(tx, ctx.actor, ctx.own.config, ctx.now())


@handlers.handles(identity.SwitchOrg)
async def switch_org(request: identity.SwitchOrg, ctx: Context[Own]) -> identity.AccessToken:
    sid, at = own_session(ctx), ctx.now()
    async with ctx.across_orgs() as tx:
        if not await sessions.switch(tx, sid, ctx.actor.principal_id, request.org_id):
            raise Refused(Unauthenticated(), "the session has ended")
        memberships = await orgs.of_account(tx, ctx.actor.principal_id)
        account = await accounts.find(tx, ctx.actor.principal_id)
        if account is None or request.org_id not in orgs.roles(memberships):
            raise Refused(identity.OrgNotFound(org_id=request.org_id))
    return ctx.own.issuer.access(issue.user(account, memberships, request.org_id, sid), ctx.new_id(), at)


@handlers.handles(identity.ClaimAdministrator)
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


@handlers.handles(identity.GetMe)
async def get_me(request: identity.GetMe, ctx: Context[Own]) -> identity.Me:
    del request
    actor = ctx.actor
    memberships: tuple[identity.Membership, ...] = ()
    key = None
    if actor.kind in ("agent", "application"):
        agent = await agents.find(ctx.db, actor.org_id, str(actor.principal_id))
        if agent is None or agent.suspended_at is not None:
            raise Refused(Unauthenticated(), "the agent was deleted or suspended")
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


def own_session(ctx: Context[Own]) -> UUID:
    """The session of a user who acts in person. Refused(Forbidden) for agents, services, and who acts for a user."""
    actor = ctx.actor
    if actor.kind != "user" or actor.acting or actor.session_id is None:
        raise Refused(Forbidden(scope="session"), "only a signed-in user can do this")
    return actor.session_id
