"""What ships with the mesh reaches the catalog at every start: public resources of the system org.

The catalog follows the files of the replica that started last. A changed file is a new version, a file that came back
to what it was moves the pointer back; nothing is written when all is as the files say.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.catalog.access import SYSTEM_ORG, Viewer
from polis.catalog.resources import rows as resources
from polis.catalog.resources.content import Canonical, canonical
from polis.catalog.versions import activations, uses
from polis.catalog.versions import rows as versions
from polis.db import Deadline, new_id
from polis.graph import builtin
from polis.proto.catalog import Resource, ResourceType
from polis.telemetry import log

if TYPE_CHECKING:
    from polis.db import Database, Transaction

ENVIRONMENT = "production"
SYSTEM_PRINCIPAL = SYSTEM_ORG
_LOCK = 0x706F6C6973_0001
"""Key of the advisory lock under which one replica at a time writes ("polis", 1)."""
_WITHIN_S = 120.0
"""At a first start all of it is written at once, which takes a busy machine long; nobody else waits for that."""
_SYSTEM = Viewer(SYSTEM_ORG, SYSTEM_PRINCIPAL, manages=True)


class Shipped(Struct, frozen=True):
    """A resource as a file says it is."""

    type: ResourceType
    key: str
    name: str
    content: Canonical


class _Known(Struct, frozen=True):
    type: str
    key: str
    id: UUID
    digest: str | None


def shipped() -> list[Shipped]:
    """Every built-in component, graph and assistant."""
    components = [
        Shipped("component", key, component.title, canonical(msgspec.to_builtins(component)))
        for key, component in builtin.components().items()
    ]
    graphs = [
        Shipped("graph", key, key, canonical(msgspec.to_builtins(g))) for key, g in builtin.graphs().items()
    ]
    assistants = [
        Shipped("assistant", key, assistant.name, canonical(msgspec.to_builtins(assistant)))
        for key, assistant in builtin.assistants().items()
    ]
    return components + graphs + assistants


async def bootstrap(database: Database, wanted: list[Shipped]) -> int:
    """Make the catalog hold what is wanted, active in production; how many resources changed."""
    async with database.transaction([SYSTEM_ORG], deadline=Deadline.after(_WITHIN_S)) as tx:
        if not _outdated(await _known(tx), wanted):
            return 0
        await tx.value("select pg_advisory_xact_lock($1)", _LOCK)
        known = await _known(tx)
        outdated = _outdated(known, wanted)
        for item in outdated:
            await _ship(tx, item, known.get((item.type, item.key)))
    if outdated:
        log.info("catalog.bootstrapped", resources=len(outdated))
    return len(outdated)


def _outdated(known: dict[tuple[str, str], _Known], wanted: list[Shipped]) -> list[Shipped]:
    digests = {key: row.digest for key, row in known.items()}
    return [item for item in wanted if digests.get((item.type, item.key)) != item.content.digest]


async def _known(tx: Transaction) -> dict[tuple[str, str], _Known]:
    rows = await tx.rows(
        _Known,
        """
        select r.type, r.key, r.id, v.digest
        from catalog.resources r
        left join catalog.activations a on a.org_id = r.org_id and a.resource_id = r.id and a.environment = $2
        left join catalog.versions v on v.org_id = r.org_id and v.resource_id = r.id and v.number = a.number
        where r.org_id = $1
        order by r.type, r.key
        """,
        SYSTEM_ORG,
        ENVIRONMENT,
    )
    return {(row.type, row.key): row for row in rows}


async def _ship(tx: Transaction, item: Shipped, known: _Known | None) -> None:
    at = datetime.now(UTC)
    if known is None:
        resource = await resources.create(tx, resources.New(_new(item, at), item.content.text))
    else:
        resource = await resources.lock(tx, _SYSTEM, known.id)
        await resources.put_draft(tx, resource, item.content.text, at=at)
    number = await versions.number_of(tx, resource, item.content.digest)
    if number is None:
        version = await versions.publish(tx, resource, item.content, changelog="", by=SYSTEM_PRINCIPAL, at=at)
        await uses.record(tx, _SYSTEM, resource, version.number, item.content)
        number = version.number
    await activations.activate(tx, resource, ENVIRONMENT, number, by=SYSTEM_PRINCIPAL, at=at)


def _new(item: Shipped, at: datetime) -> Resource:
    return Resource(
        id=new_id(),
        org_id=SYSTEM_ORG,
        type=item.type,
        key=item.key,
        name=item.name,
        visibility="public",
        revision=1,
        latest=None,
        created_by=SYSTEM_PRINCIPAL,
        created_at=at,
        updated_at=at,
    )
