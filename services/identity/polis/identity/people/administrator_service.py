"""Answers to administrators of the mesh: the first one's link, accounts, other orgs, mails that nobody sends."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from polis.identity.access import leaving
from polis.identity.mail import mails
from polis.identity.own import Own
from polis.identity.people import accounts, administrators, entry, sessions
from polis.identity.tenancy import joining, orgs
from polis.identity.tokens import issue
from polis.proto import Page, Refused, identity
from polis.proto.problems import SecondFactorMissing, Unauthenticated
from polis.service import Context, Handlers
from polis.telemetry import log

if TYPE_CHECKING:
    from polis.db import Transaction

handlers = Handlers()


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
        await _note(ctx, tx, "administrator.claimed", account.id, by=account.id)
    administrators.remove_link(ctx.own.config)
    log.info("administrator.claimed", account_id=str(account.id))
    return session


@handlers.handles(identity.CrossOrg)
async def cross_org(request: identity.CrossOrg, ctx: Context[Own]) -> identity.AccessToken:
    sid, account_id = entry.own_session(ctx), ctx.actor.principal_id
    async with ctx.across_orgs() as tx:
        await _demand_administrator(ctx, tx)
        if not await administrators.is_org(tx, request.org_id):
            raise Refused(identity.OrgNotFound(org_id=request.org_id))
        if "otp" not in ctx.actor.proved_by and (await orgs.settings(tx, request.org_id)).second_factor:
            raise Refused(SecondFactorMissing(), "the org wants one of who manages it")
        session = await sessions.live(tx, sid, account_id)
        account = await accounts.find(tx, account_id)
        if session is None or account is None:
            raise Refused(Unauthenticated(), "the session has ended")
        await entry.note(ctx, tx, "org.entered", org_id=request.org_id, subject=sid, reason=request.reason)
    bearer = issue.administrator(account, request.org_id, session)
    return ctx.own.issuer.access(bearer, ctx.new_id(), ctx.now())


@handlers.handles(identity.ListAccounts)
async def list_accounts(request: identity.ListAccounts, ctx: Context[Own]) -> Page[identity.Account]:
    before = ctx.position(request.after, UUID)
    email = None if request.email is None else accounts.normal(request.email) or ""
    async with ctx.across_orgs() as tx:
        await _demand_administrator(ctx, tx)
        found = await accounts.known(tx, email, before, request.limit + 1)
        await _note(ctx, tx, "accounts.read")
    return ctx.page(found, limit=request.limit, key=lambda a: a.id)


@handlers.handles(identity.SuspendAccount)
async def suspend_account(request: identity.SuspendAccount, ctx: Context[Own]) -> identity.Account:
    account_id, config, at = request.account_id, ctx.own.config, ctx.now()
    async with ctx.across_orgs() as tx:
        await _demand_administrator(ctx, tx)
        if account_id == ctx.actor.principal_id:
            raise Refused(identity.OwnAccount())
        # Memberships before the account, as a change of role locks them.
        left = await accounts.renew_delegations(tx, account_id)
        account = await accounts.suspend(tx, account_id, at)
        if account is None:
            raise Refused(identity.AccountNotFound(account_id=account_id))
        for ended in left:
            await sessions.revoke(tx, ended.org_id, ended.sid, config, at)
            await leaving.end_key_tokens(tx, ended.org_id, account_id, config, at)
        await sessions.end_all(tx, account_id, ctx.actor.org_id, config, at)
        await _note(ctx, tx, "account.suspended", account_id, reason=request.reason)
        return account


@handlers.handles(identity.ResumeAccount)
async def resume_account(request: identity.ResumeAccount, ctx: Context[Own]) -> identity.Account:
    async with ctx.across_orgs() as tx:
        await _demand_administrator(ctx, tx)
        account = await accounts.suspend(tx, request.account_id, None)
        if account is None:
            raise Refused(identity.AccountNotFound(account_id=request.account_id))
        await _note(ctx, tx, "account.resumed", request.account_id, reason=request.reason)
        return account


@handlers.handles(identity.AppointAdministrator)
async def appoint_administrator(
    request: identity.AppointAdministrator, ctx: Context[Own]
) -> identity.Account:
    account_id = request.account_id
    async with ctx.across_orgs() as tx:
        await _demand_administrator(ctx, tx)
        if await accounts.lock(tx, account_id) is None:
            raise Refused(identity.AccountNotFound(account_id=account_id))
        await administrators.appoint(tx, account_id, ctx.now())
        account = await accounts.known_by_id(tx, account_id)
        await _note(ctx, tx, "administrator.appointed", account_id, reason=request.reason)
    if account is None:
        raise Refused(identity.AccountNotFound(account_id=account_id))
    return account


@handlers.handles(identity.DismissAdministrator)
async def dismiss_administrator(request: identity.DismissAdministrator, ctx: Context[Own]) -> None:
    account_id = request.account_id
    async with ctx.across_orgs() as tx:
        await _demand_administrator(ctx, tx)
        if not await administrators.dismiss(tx, account_id):
            raise Refused(identity.AccountNotFound(account_id=account_id))
        # Tokens for other orgs are still about.
        await sessions.end_all(tx, account_id, ctx.actor.org_id, ctx.own.config, ctx.now())
        await _note(ctx, tx, "administrator.dismissed", account_id)


@handlers.handles(identity.ListMails)
async def list_mails(request: identity.ListMails, ctx: Context[Own]) -> Page[identity.Mail]:
    before, own = ctx.position(request.after, UUID), ctx.own
    async with ctx.across_orgs() as tx:
        await _demand_administrator(ctx, tx)
        if not own.config.shows_mails:
            raise Refused(identity.MailsAreSent())
        found = await mails.written(tx, own.post.seal, ctx.now(), before, request.limit + 1)
        await _note(ctx, tx, "mails.read")
    return ctx.page(found, limit=request.limit, key=lambda m: m.id)


async def _demand_administrator(ctx: Context[Own], tx: Transaction) -> None:
    """Refused(Forbidden) for others, Refused(SecondFactorMissing) where one is asked for and did not come."""
    entry.own_session(ctx)
    await administrators.demand(tx, ctx.actor.principal_id)
    if ctx.own.config.administrators_need_otp and "otp" not in ctx.actor.proved_by:
        raise Refused(SecondFactorMissing())


async def _note(
    ctx: Context[Own],
    tx: Transaction,
    action: str,
    subject: UUID | None = None,
    *,
    by: UUID | None = None,
    reason: str = "",
) -> None:
    """Into the log of the mesh itself."""
    detail = {"reason": reason} if reason else {}
    await entry.note(ctx, tx, action, by=by, org_id=issue.SYSTEM_ORG, subject=subject, **detail)
