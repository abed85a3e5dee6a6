"""Answers about keys, clients and ended sessions."""

from __future__ import annotations

from polis.identity.own import Own
from polis.identity.people import sessions
from polis.identity.principals import agents
from polis.identity.tokens import issue
from polis.proto import Refused, identity
from polis.service import Context, Handlers

handlers = Handlers()


@handlers.handles(identity.SignInClient)
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
    return ctx.own.issuer.access(issue.agent(agent), ctx.new_id(), at)


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
