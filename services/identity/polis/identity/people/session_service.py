"""Answers about sessions of the caller's own: which are open, ending them, proving again who one is."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from polis.identity.own import Own
from polis.identity.people import accounts, entry, factors, guesses, sessions
from polis.proto import Page, Refused, identity
from polis.proto.problems import Unauthenticated
from polis.service import Context, Handlers

if TYPE_CHECKING:
    from polis.db import Transaction
    from polis.identity.people.guesses import Bucket

handlers = Handlers()


@handlers.handles(identity.ListSessions)
async def list_sessions(request: identity.ListSessions, ctx: Context[Own]) -> Page[identity.OpenSession]:
    sid, before = entry.own_session(ctx), ctx.position(request.after, UUID)
    async with ctx.across_orgs() as tx:
        found = await sessions.list_of(
            tx, ctx.actor.principal_id, sid, ctx.now(), before=before, limit=request.limit + 1
        )
    return ctx.page(found, limit=request.limit, key=lambda s: s.id)


@handlers.handles(identity.EndSession)
async def end_session(request: identity.EndSession, ctx: Context[Own]) -> None:
    entry.own_session(ctx)
    actor, config, at = ctx.actor, ctx.own.config, ctx.now()
    async with ctx.across_orgs() as tx:
        if not await sessions.end_one(
            tx, actor.principal_id, request.session_id, config, org_id=actor.org_id, at=at
        ):
            raise Refused(identity.SessionNotFound(session_id=request.session_id))
        await entry.note(ctx, tx, "session.ended", subject=request.session_id)


@handlers.handles(identity.EndOtherSessions)
async def end_other_sessions(request: identity.EndOtherSessions, ctx: Context[Own]) -> None:
    del request
    sid, actor = entry.own_session(ctx), ctx.actor
    async with ctx.across_orgs() as tx:
        await sessions.end_all(tx, actor.principal_id, actor.org_id, ctx.own.config, ctx.now(), but=sid)
        await entry.note(ctx, tx, "session.others_ended", subject=actor.principal_id)


@handlers.handles(identity.ConfirmIdentity)
async def confirm_identity(request: identity.ConfirmIdentity, ctx: Context[Own]) -> identity.AccessToken:
    sid, account_id, own = entry.own_session(ctx), ctx.actor.principal_id, ctx.own
    async with ctx.across_orgs() as tx:
        login = await accounts.login_of(tx, account_id)
    if login is None:
        raise Refused(Unauthenticated())
    if login.has_totp and request.code is None:
        raise Refused(identity.CodeNeeded())
    guess = own.buckets.code(account_id) if login.has_totp else own.buckets.password(str(login.id))
    async with ctx.across_orgs() as tx:
        await guesses.take(tx, guess)
    how: identity.Proof = "otp" if login.has_totp else "pwd"
    if how == "pwd" and not await own.hasher.verify(login.hash, request.password or ""):
        await entry.note_refused(ctx, "identity.refused", login.id, of=how)
        raise Refused(identity.WrongProof())
    async with ctx.across_orgs() as tx:
        if how == "otp":
            fits = await factors.use(tx, own.totp_seal, account_id, request.code or "", ctx.now())
        else:
            fits = await accounts.still(tx, login)
        if fits:
            return await _proved(ctx, tx, sid, how, guess)
    await entry.note_refused(ctx, "identity.refused", login.id, of=how)
    raise Refused(identity.WrongProof())


async def _proved(
    ctx: Context[Own], tx: Transaction, sid: UUID, how: identity.Proof, guess: Bucket
) -> identity.AccessToken:
    session = await sessions.prove(tx, sid, ctx.actor.principal_id, (how,), ctx.now())
    if session is None:
        raise Refused(Unauthenticated(), "the session has ended")
    await guesses.give_back(tx, guess)
    token = await entry.access(ctx, tx, session)
    await entry.note(ctx, tx, "identity.confirmed", subject=ctx.actor.principal_id, of=how)
    return token
