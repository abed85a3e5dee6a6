"""Answers about agents and their credentials, and tokens for acting as a principal."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from polis.identity.access import leaving, units
from polis.identity.access.telling import tell
from polis.identity.own import Own
from polis.identity.people import sessions
from polis.identity.principals import active, agents, credentials
from polis.identity.tokens import opaque
from polis.proto import Page, Refused, identity
from polis.proto.contract import operation_of
from polis.proto.problems import Forbidden
from polis.service import Context, Handlers

if TYPE_CHECKING:
    from polis.db import Transaction

handlers = Handlers()


@handlers.handles(identity.CreateAgent)
async def create_agent(request: identity.CreateAgent, ctx: Context[Own]) -> identity.AgentCredential:
    at, org_id = ctx.now(), ctx.actor.org_id
    scopes = _limit(ctx, request.scopes)
    async with ctx.transaction() as tx:
        if request.unit_id is not None:
            await units.share(tx, org_id, request.unit_id)
        agent = identity.Agent(
            id=ctx.new_id(),
            org_id=org_id,
            key=request.key,
            name=request.name,
            created_by=ctx.actor.principal_id,
            created_at=at,
            number=await agents.number(tx, org_id, request.number),
            kind=request.kind,
            unit_id=request.unit_id,
            scopes=scopes,
        )
        await agents.create(tx, agent, sid=ctx.new_id())
        credential = await _new_credential(ctx, tx, agent)
        await tell(ctx, tx, "agent.created", agent.id, key=agent.key, scopes=" ".join(agent.scopes))
        return tx.answer(credential)


@handlers.handles(identity.ListAgents)
async def list_agents(request: identity.ListAgents, ctx: Context[Own]) -> Page[identity.Agent]:
    after = ctx.position(request.after, str)
    found = await agents.page(ctx.db, ctx.actor.org_id, request, after, request.limit + 1)
    return ctx.page(found, limit=request.limit, key=lambda agent: agent.key)


@handlers.handles(identity.GetAgent)
async def get_agent(request: identity.GetAgent, ctx: Context[Own]) -> identity.Agent:
    return await agents.get(ctx.db, ctx.actor.org_id, request.agent)


@handlers.handles(identity.UpdateAgent)
async def update_agent(request: identity.UpdateAgent, ctx: Context[Own]) -> identity.Agent:
    scopes = None if request.scopes is None else _limit(ctx, request.scopes)
    async with ctx.transaction() as tx:
        old = await agents.lock(tx, ctx.actor.org_id, request.agent)
        if request.unit_id is not None:
            await units.share(tx, old.org_id, request.unit_id)
        agent = msgspec.structs.replace(
            old,
            name=request.name or old.name,
            unit_id=request.unit_id or old.unit_id,
            scopes=old.scopes if scopes is None else scopes,
        )
        await agents.update(tx, agent)
        if set(old.scopes) - set(agent.scopes):
            await _end_tokens(ctx, tx, agent)
        await tell(ctx, tx, "agent.updated", agent.id, key=agent.key, scopes=" ".join(agent.scopes))
        return tx.answer(agent)


@handlers.handles(identity.SuspendAgent)
async def suspend_agent(request: identity.SuspendAgent, ctx: Context[Own]) -> identity.Agent:
    async with ctx.transaction() as tx:
        agent = await agents.lock(tx, ctx.actor.org_id, request.agent)
        if agent.suspended_at is not None:
            return tx.answer(agent)
        await agents.suspend(tx, agent, ctx.now())
        await _end_tokens(ctx, tx, agent)
        await tell(ctx, tx, "agent.suspended", agent.id, key=agent.key)
        return tx.answer(await agents.get(tx, agent.org_id, str(agent.id)))


@handlers.handles(identity.ResumeAgent)
async def resume_agent(request: identity.ResumeAgent, ctx: Context[Own]) -> identity.Agent:
    async with ctx.transaction() as tx:
        agent = await agents.lock(tx, ctx.actor.org_id, request.agent)
        if agent.suspended_at is None:
            return tx.answer(agent)
        await agents.suspend(tx, agent, None)
        await tell(ctx, tx, "agent.resumed", agent.id, key=agent.key)
        return tx.answer(msgspec.structs.replace(agent, suspended_at=None))


@handlers.handles(identity.DeleteAgent)
async def delete_agent(request: identity.DeleteAgent, ctx: Context[Own]) -> None:
    async with ctx.transaction() as tx:
        agent = await agents.lock(tx, ctx.actor.org_id, request.agent)
        sid = await agents.delete(tx, agent)
        await sessions.revoke(tx, agent.org_id, sid, ctx.own.config, ctx.now())
        await leaving.forget(tx, agent.org_id, agent.id, ctx.own.config, ctx.now())
        await tell(ctx, tx, "agent.deleted", agent.id, key=agent.key)
        return tx.answer(None)


@handlers.handles(identity.ListCredentials)
async def list_credentials(request: identity.ListCredentials, ctx: Context[Own]) -> Page[identity.Credential]:
    agent = await agents.get(ctx.db, ctx.actor.org_id, request.agent)
    return Page(await credentials.of_agent(ctx.db, agent, ctx.now()))


@handlers.handles(identity.RotateCredential)
async def rotate_credential(
    request: identity.RotateCredential, ctx: Context[Own]
) -> identity.AgentCredential:
    at = ctx.now()
    async with ctx.transaction() as tx:
        agent = await agents.lock(tx, ctx.actor.org_id, request.agent)
        await credentials.expire(tx, agent, at + timedelta(seconds=request.overlap_s), at)
        if not request.overlap_s:
            await _end_tokens(ctx, tx, agent)
        credential = await _new_credential(ctx, tx, agent)
        await tell(ctx, tx, "credential.rotated", agent.id, key=agent.key)
        return tx.answer(credential)


@handlers.handles(identity.RevokeCredential)
async def revoke_credential(request: identity.RevokeCredential, ctx: Context[Own]) -> None:
    async with ctx.transaction() as tx:
        agent = await agents.lock(tx, ctx.actor.org_id, request.agent)
        await credentials.revoke(tx, agent, request.credential_id)
        await _end_tokens(ctx, tx, agent)
        await tell(ctx, tx, "credential.revoked", agent.id, credential_id=request.credential_id)
        return tx.answer(None)


@handlers.handles(identity.Delegate)
async def delegate(request: identity.Delegate, ctx: Context[Own]) -> identity.AccessToken:
    if not ctx.actor.of_mesh or ctx.actor.name not in operation_of(identity.Delegate).callers:
        raise Refused(Forbidden(scope="internal"))
    db = ctx.own.database.tenant(request.org_id, deadline=ctx.deadline)
    bearer = await active.bearer_of(db, request.org_id, request.principal_id)
    if bearer is None:
        raise Refused(identity.PrincipalNotFound(principal_id=request.principal_id))
    scope = " ".join(sorted(bearer.rights.intersection(request.scopes)))
    return ctx.own.issuer.access(bearer, ctx.new_id(), ctx.now(), scope=scope, acting=ctx.actor.name)


def _limit(ctx: Context[Own], asked: identity.Scopes | None) -> identity.Scopes:
    """What an agent may do: what was asked for, or what agents may; never more than who says so. Refused(Forbidden)."""
    bundle = identity.ROLE_SCOPES["agent"]
    if asked is None:
        return tuple(sorted(bundle & ctx.actor.scopes))
    for scope in asked:
        if scope not in bundle & ctx.actor.scopes:
            raise Refused(Forbidden(scope=scope))
    return tuple(sorted(set(asked)))


async def _new_credential(
    ctx: Context[Own], tx: Transaction, agent: identity.Agent
) -> identity.AgentCredential:
    secret = opaque.mint("pas")
    await credentials.add(tx, agent, ctx.new_id(), secret, ctx.now())
    return identity.AgentCredential(agent, client_id=str(agent.id), client_secret=secret.secret)


async def _end_tokens(ctx: Context[Own], tx: Transaction, agent: identity.Agent) -> None:
    """Have the tokens of a locked agent refused; its credentials give new ones, unless it is suspended."""
    sid = await agents.renew_sid(tx, agent)
    await sessions.revoke(tx, agent.org_id, sid, ctx.own.config, ctx.now())
