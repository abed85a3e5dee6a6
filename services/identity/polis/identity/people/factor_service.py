"""Answers about the caller's second factor."""

from __future__ import annotations

from polis.identity.own import Own
from polis.identity.people import accounts, entry, factors, guesses, sessions, totp
from polis.proto import Refused, identity
from polis.proto.problems import Unauthenticated
from polis.service import Context, Handlers

handlers = Handlers()


@handlers.handles(identity.GetSecondFactor)
async def get_second_factor(request: identity.GetSecondFactor, ctx: Context[Own]) -> identity.SecondFactor:
    del request
    entry.own_session(ctx)
    async with ctx.across_orgs() as tx:
        return await factors.state_of(tx, ctx.actor.principal_id)


@handlers.handles(identity.EnrolTotp)
async def enrol_totp(request: identity.EnrolTotp, ctx: Context[Own]) -> identity.NewTotp:
    del request
    entry.own_session(ctx)
    async with ctx.across_orgs() as tx:
        account = await accounts.find(tx, ctx.actor.principal_id)
        if account is None:
            raise Refused(Unauthenticated())
        secret = await factors.enrol(tx, ctx.own.totp_seal, account.id, ctx.now())
    return identity.NewTotp(totp.base32(secret), totp.uri(secret, account.email))


@handlers.handles(identity.ConfirmTotp)
async def confirm_totp(request: identity.ConfirmTotp, ctx: Context[Own]) -> identity.RecoveryCodes:
    sid, own, at = entry.own_session(ctx), ctx.own, ctx.now()
    account_id = ctx.actor.principal_id
    guess = own.buckets.code(account_id)
    async with ctx.across_orgs() as tx:
        await guesses.take(tx, guess)
    async with ctx.across_orgs() as tx:
        await accounts.lock(tx, account_id)
        if await factors.confirm(tx, own.totp_seal, account_id, request.code, at):
            codes = await factors.new_recovery_codes(tx, account_id)
            await sessions.end_all(tx, account_id, ctx.actor.org_id, own.config, at, but=sid)
            await sessions.prove(tx, sid, account_id, ("otp",), at)
            await guesses.give_back(tx, guess)
            await entry.note(ctx, tx, "second_factor.added", subject=account_id)
            return identity.RecoveryCodes(codes)
    raise Refused(identity.WrongProof())


@handlers.handles(identity.RemoveTotp)
async def remove_totp(request: identity.RemoveTotp, ctx: Context[Own]) -> None:
    del request
    entry.own_session(ctx)
    async with ctx.across_orgs() as tx:
        await accounts.lock(tx, ctx.actor.principal_id)
        await factors.remove(tx, ctx.actor.principal_id)
        await entry.note(ctx, tx, "second_factor.removed", subject=ctx.actor.principal_id)


@handlers.handles(identity.NewRecoveryCodes)
async def new_recovery_codes(request: identity.NewRecoveryCodes, ctx: Context[Own]) -> identity.RecoveryCodes:
    del request
    entry.own_session(ctx)
    async with ctx.across_orgs() as tx:
        codes = await factors.new_recovery_codes(tx, ctx.actor.principal_id)
        await entry.note(ctx, tx, "recovery_codes.replaced", subject=ctx.actor.principal_id)
    return identity.RecoveryCodes(codes)
