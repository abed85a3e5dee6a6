"""How a resource is now, told as the changes that make it: what an export holds, and what an undo goes back to."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.proto.catalog import Change, Resource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polis.catalog.access import Viewer
    from polis.db import Tenant, Transaction


class _DraftRow(Struct, frozen=True):
    resource_id: UUID
    content: str


class _ActiveRow(Struct, frozen=True):
    resource_id: UUID
    environment: str
    content: str


async def states(db: Tenant | Transaction, org_id: UUID, found: Sequence[Resource]) -> list[list[Change]]:
    """For each of these resources of the org: its draft and what is said of it, then each environment by name."""
    active: dict[UUID, list[_ActiveRow]] = {}
    for row in await _active(db, org_id, [resource.id for resource in found]):
        active.setdefault(row.resource_id, []).append(row)
    return [
        [put(resource, draft)]
        + [activation(resource, draft, row.environment, row.content) for row in active.get(resource.id, [])]
        for resource, draft in await drafted(db, org_id, found)
    ]


async def drafted(
    db: Tenant | Transaction, org_id: UUID, found: Sequence[Resource]
) -> list[tuple[Resource, str]]:
    """Each of these resources of the org with its draft."""
    drafts = {
        row.resource_id: row.content for row in await _drafts(db, org_id, [resource.id for resource in found])
    }
    return [(resource, drafts[resource.id]) for resource in found]


def put(resource: Resource, draft: str) -> Change:
    """What makes a resource and its draft as they are."""
    return Change(
        "put",
        resource.type,
        resource.key,
        content=_decoded(draft),
        name=resource.name,
        visibility=resource.visibility,
        tags=resource.tags,
        deprecated=resource.status == "deprecated",
        deprecation=resource.deprecation,
    )


def activation(resource: Resource, draft: str, environment: str, content: str) -> Change:
    """What makes an environment use a content as it does."""
    return Change(
        "activate",
        resource.type,
        resource.key,
        content=None if content == draft else _decoded(content),
        environment=environment,
    )


def digest(state: list[Change]) -> str:
    """What tells a state from any other."""
    return sha256(msgspec.json.encode(state, order="deterministic")).hexdigest()


def _decoded(content: str) -> dict[str, object]:
    return msgspec.json.decode(content, type=dict[str, object])


async def _drafts(db: Tenant | Transaction, org_id: UUID, ids: list[UUID]) -> list[_DraftRow]:
    return await db.rows(
        _DraftRow,
        """
        select d.resource_id, d.content from catalog.drafts d
        where d.org_id = $1 and d.resource_id = any($2::uuid[])
        order by d.resource_id
        """,
        org_id,
        ids,
    )


async def _active(db: Tenant | Transaction, org_id: UUID, ids: list[UUID]) -> list[_ActiveRow]:
    return await db.rows(
        _ActiveRow,
        """
        select a.resource_id, a.environment, v.content
        from catalog.activations a
        join catalog.versions v on v.org_id = a.org_id and v.resource_id = a.resource_id and v.number = a.number
        where a.org_id = $1 and a.resource_id = any($2::uuid[])
        order by a.resource_id, a.environment
        """,
        org_id,
        ids,
    )


async def page(tx: Transaction, viewer: Viewer, kind: str, key: str, limit: int) -> list[Resource]:
    """Up to `limit` resources of the org that the viewer may see, from this type and key on."""
    return await tx.rows(
        Resource,
        """
        select r.id, r.org_id, r.type, r.key, r.name, r.visibility, r.revision, r.latest, r.created_by,
            r.created_at, r.updated_at, r.tags, r.status, r.deprecation
        from catalog.resources r
        where r.org_id = $1 and (r.type, r.key) >= ($4, $5)
            and (r.visibility <> 'private' or r.created_by = $2 or r.type || '/' || r.key ~ $3::text)
        order by r.type, r.key limit $6
        """,
        viewer.org_id,
        viewer.principal_id,
        viewer.opens,
        kind,
        key,
        limit,
    )
