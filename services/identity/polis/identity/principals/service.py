"""Answers about agents, and tokens for acting as a principal."""

from __future__ import annotations

from polis.identity.own import Own
from polis.identity.people import sessions
from polis.identity.principals import active, agents
from polis.identity.tokens import opaque
from polis.proto import Page, Refused, identity
from polis.proto.contract import operation_of
from polis.proto.problems import Forbidden
from polis.service import Context, Handlers

handlers = Handlers()


@handlers.handles(identity.CreateAgent)
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


@handlers.handles(identity.ListAgents)
async def list_agents(request: identity.ListAgents, ctx: Context[Own]) -> Page[identity.Agent]:
    after = ctx.position(request.after, str)
    found = await agents.page(ctx.db, ctx.actor.org_id, after, request.limit + 1)
    return ctx.page(found, limit=request.limit, key=lambda agent: agent.key)


@handlers.handles(identity.GetAgent)
async def get_agent(request: identity.GetAgent, ctx: Context[Own]) -> identity.Agent:
    return await agents.get(ctx.db, ctx.actor.org_id, request.agent)


@handlers.handles(identity.DeleteAgent)
async def delete_agent(request: identity.DeleteAgent, ctx: Context[Own]) -> None:
    async with ctx.transaction() as tx:
        gone = await agents.delete(tx, ctx.actor.org_id, request.agent)
        await sessions.revoke(tx, gone.org_id, gone.sid, ctx.own.config, ctx.now())
        return tx.answer(None)


@handlers.handles(identity.Delegate)
async def delegate(request: identity.Delegate, ctx: Context[Own]) -> identity.AccessToken:
    callers = operation_of(identity.Delegate).callers
    if ctx.actor.kind != "service" or ctx.actor.acting or ctx.actor.name not in callers:
        raise Refused(Forbidden(scope="internal"))
    db = ctx.own.database.tenant(request.org_id, deadline=ctx.deadline)
    bearer = await active.bearer_of(db, request.org_id, request.principal_id)
    if bearer is None:
        raise Refused(identity.PrincipalNotFound(principal_id=request.principal_id))
    own_scopes = identity.ROLE_SCOPES.get(bearer.roles[request.org_id], frozenset())
    scope = " ".join(sorted(own_scopes.intersection(request.scopes)))
    return ctx.own.issuer.access(bearer, ctx.new_id(), ctx.now(), scope=scope, acting=ctx.actor.name)
