"""Answers about keys, clients and ended sessions."""

from __future__ import annotations

from polis.identity.own import Own
from polis.identity.people import sessions
from polis.identity.tokens import clients, oauth
from polis.proto import Refused, identity
from polis.service import Context, Handlers

handlers = Handlers()
handlers.include(oauth.handlers)


@handlers.handles(identity.SignInClient)
async def sign_in_client(request: identity.SignInClient, ctx: Context[Own]) -> identity.AccessToken:
    bearer = await clients.sign_in(ctx, request.client_id, request.client_secret)
    if bearer is None:
        raise Refused(identity.WrongCredentials())
    return ctx.own.issuer.access(bearer, ctx.new_id(), ctx.now())


@handlers.handles(identity.GetJwks)
async def get_jwks(request: identity.GetJwks, ctx: Context[Own]) -> identity.Jwks:
    del request
    return ctx.own.keys.jwks()


@handlers.handles(identity.ListRevocations)
async def list_revocations(request: identity.ListRevocations, ctx: Context[Own]) -> identity.Revocations:
    async with ctx.across_orgs() as tx:
        found = await sessions.revocations(tx, request.after, ctx.now())
    more = len(found) == sessions.REVOCATIONS_PAGE
    return identity.Revocations(tuple(found), found[-1].session_id if more else None)
