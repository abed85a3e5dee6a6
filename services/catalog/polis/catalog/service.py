"""The catalog answers for declarative resources, their immutable versions, and artifacts. It owns schema `catalog`."""

from __future__ import annotations

from polis.catalog import grants, units
from polis.catalog.changes import service as changes
from polis.catalog.config import Config
from polis.catalog.files import service as files
from polis.catalog.own import Own, open_own
from polis.catalog.resources import service as resources
from polis.catalog.signatures import service as signatures
from polis.catalog.versions import service as versions
from polis.proto import identity
from polis.service import EventContext, Service

service = Service("catalog", settings=Config, open=open_own)
service.include(resources.handlers, versions.handlers, changes.handlers, signatures.handlers, files.handlers)


@service.on(identity.GrantGiven)
async def keep_grant(event: identity.GrantGiven, ctx: EventContext[Own]) -> None:
    await grants.keep(ctx.tx, event.grant)
    ctx.tx.after_commit(lambda: ctx.own.grants.forget(event.org_id))


@service.on(identity.GrantApproved)
async def keep_approved_grant(event: identity.GrantApproved, ctx: EventContext[Own]) -> None:
    await grants.keep(ctx.tx, event.grant)
    ctx.tx.after_commit(lambda: ctx.own.grants.forget(event.org_id))


@service.on(identity.ApprovalWithdrawn)
async def drop_waiting_grant(event: identity.ApprovalWithdrawn, ctx: EventContext[Own]) -> None:
    await grants.drop(ctx.tx, event.org_id, event.grant_id)
    ctx.tx.after_commit(lambda: ctx.own.grants.forget(event.org_id))


@service.on(identity.GrantTaken)
async def drop_grant(event: identity.GrantTaken, ctx: EventContext[Own]) -> None:
    await grants.drop(ctx.tx, event.org_id, event.grant_id)
    ctx.tx.after_commit(lambda: ctx.own.grants.forget(event.org_id))


@service.on(identity.UnitCreated)
async def keep_unit(event: identity.UnitCreated, ctx: EventContext[Own]) -> None:
    await units.keep(ctx.tx, event.unit)
    ctx.tx.after_commit(lambda: ctx.own.grants.forget(event.org_id))


@service.on(identity.UnitDeleted)
async def drop_unit(event: identity.UnitDeleted, ctx: EventContext[Own]) -> None:
    await units.drop(ctx.tx, event.org_id, event.unit_id)
    ctx.tx.after_commit(lambda: ctx.own.grants.forget(event.org_id))


@service.on(identity.AgentCreated)
async def place_agent(event: identity.AgentCreated, ctx: EventContext[Own]) -> None:
    await units.place(ctx.tx, event.agent)
    ctx.tx.after_commit(lambda: ctx.own.grants.forget(event.org_id))


@service.on(identity.AgentUpdated)
async def move_agent(event: identity.AgentUpdated, ctx: EventContext[Own]) -> None:
    await units.place(ctx.tx, event.agent)
    ctx.tx.after_commit(lambda: ctx.own.grants.forget(event.org_id))


@service.on(identity.AgentDeleted)
async def forget_agent(event: identity.AgentDeleted, ctx: EventContext[Own]) -> None:
    await units.forget(ctx.tx, event.org_id, event.agent_id)
    ctx.tx.after_commit(lambda: ctx.own.grants.forget(event.org_id))
