"""The catalog answers for declarative resources, their immutable versions, and artifacts. It owns schema `catalog`."""

from __future__ import annotations

from polis.catalog import grants
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


@service.on(identity.GrantTaken)
async def drop_grant(event: identity.GrantTaken, ctx: EventContext[Own]) -> None:
    await grants.drop(ctx.tx, event.org_id, event.grant_id)
    ctx.tx.after_commit(lambda: ctx.own.grants.forget(event.org_id))
