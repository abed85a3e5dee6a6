"""Answers about people: signing up, in and out, sessions, who the caller is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from polis.identity.mail import mails
from polis.identity.own import Own
from polis.identity.people import (
    accounts,
    administrator_service,
    entry,
    factor_service,
    factors,
    guesses,
    password_service,
    passwords,
    session_service,
    sessions,
)
from polis.identity.people.sessions import Outcome
from polis.identity.principals import agents
from polis.identity.tenancy import invitations, joining, orgs
from polis.proto import Refused, identity
from polis.proto.problems import Unauthenticated
from polis.service import Context, Handlers
from polis.service.actor import NOBODY
from polis.service.tokens import InvalidToken
from polis.telemetry import log

if TYPE_CHECKING:
    from uuid import UUID

    from polis.db import Transaction

handlers = Handlers()
handlers.include(
    session_service.handlers,
    password_service.handlers,
    factor_service.handlers,
    administrator_service.handlers,
)


@handlers.handles(identity.AskToSignUp)
async def ask_to_sign_up(request: identity.AskToSignUp, ctx: Context[Own]) -> None:
    """The same work for every address: whether an account has it is looked up later, by who writes the mail."""
    own, email = ctx.own, accounts.demand_normal(request.email)
    _demand_open(ctx, request.invitation)
    if not own.config.confirms:
        raise Refused(identity.NothingToConfirm())
    async with ctx.across_orgs() as tx:
        await guesses.take(tx, own.buckets.forgotten(email), *own.buckets.address(ctx.client.address))
        if request.invitation is not None and await invitations.org_of(tx, request.invitation) is None:
            raise Refused(identity.InvitationNotFound())
        await mails.ask(tx, own.post, "sign_up", email, mail_id=ctx.new_id(), at=ctx.now())


@handlers.handles(identity.SignUp)
async def sign_up(request: identity.SignUp, ctx: Context[Own]) -> identity.Session:
    _demand_open(ctx, request.invitation)
    account = accounts.Account(ctx.new_id(), accounts.demand_normal(request.email), request.name)
    if ctx.own.config.confirms:
        # Before anything is looked up: only who reads the address's mails is told of its account.
        if request.confirmation is None:
            raise Refused(identity.ConfirmationNeeded())
        ctx.own.confirmations.demand(request.confirmation, account.email, ctx.now())
    # An address that is taken is told, so that is a guess; a new account gives it back.
    guess = ctx.own.buckets.address(ctx.client.address)
    async with ctx.across_orgs() as tx:
        await guesses.take(tx, *guess)
    password_hash = await ctx.own.hasher.hash(request.password)
    org_id = await joining.org_to_join(ctx, request.invitation)
    async with ctx.transaction(org_id) as tx:
        membership = await _join(ctx, tx, request, account, password_hash=password_hash, org_id=org_id)
        session = await entry.open_session(ctx, tx, account, (membership,), membership.org.id)
        await entry.note(
            ctx, tx, "account.created", by=account.id, org_id=membership.org.id, subject=account.id
        )
        tx.answer(session)
    async with ctx.across_orgs() as tx:
        await guesses.give_back(tx, *guess)
    return session


def _demand_open(ctx: Context[Own], invitation: str | None) -> None:
    """Refused(SignUpClosed) where accounts are not made, or not without an invitation."""
    mode = ctx.own.config.sign_up
    if mode == "closed" or (mode == "invitation" and invitation is None):
        raise Refused(identity.SignUpClosed())


async def _join(
    ctx: Context[Own],
    tx: Transaction,
    request: identity.SignUp,
    account: accounts.Account,
    *,
    password_hash: str,
    org_id: UUID,
) -> identity.Membership:
    """A new account in an org of its own, or in the one that invites it."""
    if request.invitation is None:
        await accounts.create(tx, account, password_hash, ctx.now())
        return await joining.found_org(ctx, tx, org_id, request.org_name or request.name, account.id)
    # The invitation first: whoever has none for this address is not told whether the address is taken.
    accepted = await invitations.accept(tx, request.invitation, account.email, ctx.now())
    await accounts.create(tx, account, password_hash, ctx.now())
    return await joining.join_accepted(ctx, tx, accepted, account)


@handlers.handles(identity.SignIn)
async def sign_in(request: identity.SignIn, ctx: Context[Own]) -> identity.Session:
    own, email = ctx.own, accounts.normal(request.email)
    async with ctx.across_orgs() as tx:
        login = await accounts.login(tx, email)
        account_id = NOBODY if login is None else login.id
        known = await sessions.addresses(tx, account_id, ctx.now())
        guess = own.buckets.sign_in(email or request.email, ctx.client.address, known)
        await guesses.take(tx, *guess)
    fits = await own.hasher.verify(None if login is None else login.hash, request.password)
    if login is None or not fits or not login.active:
        await entry.note_refused(ctx, "sign_in.refused", account_id, of="password")
        raise Refused(identity.WrongCredentials())
    rehashed = await own.hasher.hash(request.password) if passwords.outdated(login.hash) else None
    async with ctx.across_orgs() as tx:
        if rehashed is not None:
            await accounts.rehash(tx, login, rehashed)
        if not await accounts.still(tx, login):
            raise Refused(identity.WrongCredentials())
        await guesses.give_back(tx, *guess)
        if not login.has_totp:
            return await entry.enter(ctx, tx, login, request.org_id, proved_by=("pwd",))
        entry.home_of(await orgs.of_account(tx, login.id), request.org_id)
        ticket = await factors.open_ticket(tx, login.id, login.changed_at, request.org_id, ctx.now())
    # Behind the transaction, because a refusal inside would undo the ticket.
    raise Refused(identity.SecondFactorRequired(ticket=ticket))


@handlers.handles(identity.SignInSecondFactor)
async def sign_in_second_factor(request: identity.SignInSecondFactor, ctx: Context[Own]) -> identity.Session:
    own, at = ctx.own, ctx.now()
    async with ctx.across_orgs() as tx:
        account_id = await factors.account_of(tx, request.ticket, at)
        guess = own.buckets.address(ctx.client.address)
        if account_id is not None:
            guess = (*guess, own.buckets.code(account_id))
        await guesses.take(tx, *guess)
    if account_id is None:
        raise Refused(identity.WrongCredentials())
    async with ctx.across_orgs() as tx:
        # The account before the ticket, as a change of password locks them.
        login = await accounts.login_of(tx, account_id)
        if login is None or not await accounts.still(tx, login):
            raise Refused(identity.WrongCredentials())
        ticket = await factors.lock_ticket(tx, request.ticket, at)
        if ticket is None or ticket.password_of != login.changed_at:
            raise Refused(identity.WrongCredentials())
        if await factors.use(tx, own.totp_seal, login.id, request.code, at):
            await factors.use_ticket(tx, request.ticket)
            await guesses.give_back(tx, *guess)
            return await entry.enter(ctx, tx, login, ticket.org_id, proved_by=("pwd", "otp"))
    # The ticket stays: there are more guesses, as many as the bucket holds.
    await entry.note_refused(ctx, "sign_in.refused", login.id, of="code")
    raise Refused(identity.WrongCredentials())


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
            await entry.note(
                ctx,
                tx,
                "refresh_token.reused",
                by=session.account_id,
                org_id=session.current_org,
                subject=session.sid,
            )
    # Behind the transaction, because a refusal inside would undo the end of the session.
    raise Refused(identity.RefreshRefused(raced=outcome is Outcome.RACED))


@handlers.handles(identity.SignOut)
async def sign_out(request: identity.SignOut, ctx: Context[Own]) -> None:
    del request
    sid = entry.own_session(ctx)
    async with ctx.across_orgs() as tx:
        await sessions.end_own(tx, ctx.actor, ctx.own.config, ctx.now())
        await entry.note(ctx, tx, "session.ended", subject=sid)


@handlers.handles(identity.SwitchOrg)
async def switch_org(request: identity.SwitchOrg, ctx: Context[Own]) -> identity.AccessToken:
    sid = entry.own_session(ctx)
    async with ctx.across_orgs() as tx:
        session = await sessions.switch(tx, sid, ctx.actor.principal_id, request.org_id)
        if session is None:
            raise Refused(Unauthenticated(), "the session has ended")
        memberships = await orgs.of_account(tx, ctx.actor.principal_id)
        if request.org_id not in orgs.roles(memberships):
            raise Refused(identity.OrgNotFound(org_id=request.org_id))
        return await entry.access(ctx, tx, session, until=_end_of_token(ctx))


def _end_of_token(ctx: Context[Own]) -> int:
    """When the caller's token ends. One for another org lives no longer, or a copied token would renew itself."""
    try:
        return ctx.own.keys.verify(ctx.actor.token, ctx.now()).exp
    except InvalidToken as error:
        raise Refused(Unauthenticated(), error.reason) from None


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
