"""Answers about passwords: changing a known one, and replacing a forgotten one by a link in a mail."""

from __future__ import annotations

from polis.identity.mail import mails
from polis.identity.own import Own
from polis.identity.people import accounts, entry, guesses, sessions
from polis.identity.tenancy import orgs
from polis.identity.tokens import issue
from polis.identity.tokens.opaque import digest
from polis.proto import Refused, identity
from polis.proto.problems import Unauthenticated
from polis.service import Context, Handlers

handlers = Handlers()


@handlers.handles(identity.ChangePassword)
async def change_password(request: identity.ChangePassword, ctx: Context[Own]) -> None:
    sid, actor, own = entry.own_session(ctx), ctx.actor, ctx.own
    async with ctx.across_orgs() as tx:
        login = await accounts.login_of(tx, actor.principal_id)
        if login is None:
            raise Refused(Unauthenticated())
        guess = own.buckets.password(str(login.id))
        await guesses.take(tx, guess)
    if not await own.hasher.verify(login.hash, request.old_password):
        await entry.note_refused(ctx, "identity.refused", login.id, of="password")
        raise Refused(identity.WrongProof())
    password_hash = await own.hasher.hash(request.new_password)
    async with ctx.across_orgs() as tx:
        if await accounts.lock(tx, login.id) is None:
            raise Refused(Unauthenticated())
        if not await accounts.change_password(tx, login.id, password_hash, ctx.now(), was=login.changed_at):
            raise Refused(identity.WrongProof())
        await sessions.end_all(tx, login.id, actor.org_id, own.config, ctx.now(), but=sid)
        await guesses.give_back(tx, guess)
        await mails.ask(tx, own.post, "password_changed", login.email, mail_id=ctx.new_id(), at=ctx.now())
        await entry.note(ctx, tx, "password.changed", subject=login.id)


@handlers.handles(identity.ForgotPassword)
async def forgot_password(request: identity.ForgotPassword, ctx: Context[Own]) -> None:
    """The same work for every address: whether an account has it is looked up later, by who writes the mail."""
    own, email = ctx.own, accounts.normal(request.email)
    async with ctx.across_orgs() as tx:
        address = own.buckets.address(ctx.client.address)
        await guesses.take(tx, own.buckets.forgotten(email or request.email), *address)
        if email is not None:
            await mails.ask(tx, own.post, "password_reset", email, mail_id=ctx.new_id(), at=ctx.now())


@handlers.handles(identity.ResetPassword)
async def reset_password(request: identity.ResetPassword, ctx: Context[Own]) -> None:
    own, token_hash = ctx.own, digest(request.token)
    guess = own.buckets.address(ctx.client.address)
    async with ctx.across_orgs() as tx:
        await guesses.take(tx, *guess)
        account_id = await accounts.whose_reset(tx, token_hash, ctx.now())
    if account_id is None:
        raise Refused(identity.ResetLinkUsed())
    password_hash = await own.hasher.hash(request.password)
    async with ctx.across_orgs() as tx:
        account = await accounts.lock(tx, account_id)
        if account is None or not await accounts.use_reset(tx, token_hash, ctx.now()):
            raise Refused(identity.ResetLinkUsed())
        await accounts.change_password(tx, account.id, password_hash, ctx.now())
        org_id = issue.home(await orgs.of_account(tx, account.id))
        await sessions.end_all(tx, account.id, org_id, own.config, ctx.now())
        await guesses.give_back(tx, own.buckets.password(account.email), *guess)
        await mails.ask(tx, own.post, "password_changed", account.email, mail_id=ctx.new_id(), at=ctx.now())
        await entry.note(ctx, tx, "password.reset", by=account.id, org_id=org_id, subject=account.id)
