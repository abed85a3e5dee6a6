"""The catalog answers for declarative resources, their immutable versions, and artifacts. It owns schema `catalog`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

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

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from polis.db import Transaction
    from polis.proto.contract import Event

E = TypeVar("E", bound="Event")

service = Service("catalog", settings=Config, open=open_own)
service.include(resources.handlers, versions.handlers, changes.handlers, signatures.handlers, files.handlers)


def _opens(event: type[E], keep: Callable[[Transaction, E], Awaitable[None]]) -> None:
    """Keep what an event says of who may see what: from then on the grants of its org are read anew."""

    @service.on(event)
    async def listen(event: E, ctx: EventContext[Own]) -> None:
        await keep(ctx.tx, event)
        ctx.tx.after_commit(lambda: ctx.own.grants.changed(event.org_id))


_opens(identity.GrantGiven, lambda tx, event: grants.keep(tx, event.grant))
_opens(identity.GrantApproved, lambda tx, event: grants.keep(tx, event.grant))
_opens(identity.ApprovalWithdrawn, lambda tx, event: grants.drop(tx, event.org_id, event.grant_id))
_opens(identity.GrantTaken, lambda tx, event: grants.drop(tx, event.org_id, event.grant_id))
_opens(identity.UnitCreated, lambda tx, event: units.keep(tx, event.unit))
_opens(identity.UnitDeleted, lambda tx, event: units.drop(tx, event.org_id, event.unit_id))
_opens(identity.AgentCreated, lambda tx, event: units.place(tx, event.agent))
_opens(identity.AgentUpdated, lambda tx, event: units.place(tx, event.agent))
_opens(identity.AgentDeleted, lambda tx, event: units.forget(tx, event.org_id, event.agent_id))
