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
    ids = [resource.id for resource in found]
    drafts = {row.resource_id: row.content for row in await _drafts(db, org_id, ids)}
    active: dict[UUID, list[_ActiveRow]] = {}
    for row in await _active(db, org_id, ids):
        active.setdefault(row.resource_id, []).append(row)
    return [_state(resource, drafts[resource.id], active.get(resource.id, [])) for resource in found]


def _state(resource: Resource, draft: str, active: list[_ActiveRow]) -> list[Change]:
    put = Change(
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
    return [put] + [
        Change(
            "activate",
            resource.type,
            resource.key,
            content=None if row.content == draft else _decoded(row.content),
            environment=row.environment,
        )
        for row in active
    ]


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


async def page(db: Tenant, viewer: Viewer, kind: str, key: str, limit: int) -> list[Resource]:
    """Up to `limit` resources of the org that the viewer may see, from this type and key on."""
    return await db.rows(
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
