"""Rows of versions: written once, never changed, read by number, digest, or as what an environment uses."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.catalog.access import SYSTEM_ORG, Viewer
from polis.catalog.resources import rows as resources
from polis.proto import Refused
from polis.proto.catalog import (
    MAX_VERSIONS,
    NotActive,
    QuotaExceeded,
    ResolveResource,
    Resource,
    ResourceNotFound,
    ResourceType,
    Version,
    VersionNotFound,
    VersionPublished,
    VersionSummary,
)

if TYPE_CHECKING:
    from polis.catalog.resources.content import Canonical
    from polis.db import Tenant, Transaction

NUMBER_DIGITS = 9
"""A version reference with at most this many characters is a number, a longer one a digest."""


_SEARCHED_CHARS = 64 * 1024
"""As much of a version's canonical JSON can be found by its words."""


class Position(Struct, frozen=True):
    """Where a list of versions continues: behind this number of this resource. The default lies before all."""

    resource_id: UUID
    number: int = 1_000_000_000


class _VersionRow(Struct, frozen=True):
    resource_id: UUID
    type: ResourceType
    key: str
    number: int
    digest: str
    content: str
    changelog: str
    published_by: UUID
    published_at: datetime

    def version(self) -> Version:
        content = msgspec.json.decode(self.content, type=dict[str, object])
        return Version(
            resource_id=self.resource_id,
            type=self.type,
            key=self.key,
            number=self.number,
            digest=self.digest,
            content=content,
            changelog=self.changelog,
            published_by=self.published_by,
            published_at=self.published_at,
        )


async def publish(
    tx: Transaction, resource: Resource, content: Canonical, *, changelog: str, by: UUID, at: datetime
) -> Version:
    """The next version of a locked resource; the latest one again when that has the same content. Refused(QuotaExceeded)."""
    if resource.latest is not None:
        latest = await _latest(tx, resource)
        if latest.digest == content.digest:
            return latest.version()
    held = resource.latest or 0
    if held >= MAX_VERSIONS:
        raise Refused(QuotaExceeded(quota="versions", limit=MAX_VERSIONS, used=held))
    number = held + 1
    await tx.execute(
        """
        with published as (
            insert into catalog.versions (org_id, resource_id, visibility, number, digest, content, changelog,
                published_by, published_at)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            returning org_id, resource_id, number, published_at, catalog.lexemes(left(content, $10)) as body
        )
        update catalog.resources r set latest = p.number, updated_at = p.published_at,
            status = case when r.status = 'draft' then 'published' else r.status end,
            body = p.body,
            search = catalog.findable(r.org_id, r.visibility, r.key, r.name, r.type, r.tags, p.body)
        from published p where r.org_id = p.org_id and r.id = p.resource_id
        """,
        resource.org_id,
        resource.id,
        resource.visibility,
        number,
        content.digest,
        content.text,
        changelog,
        by,
        at,
        _SEARCHED_CHARS,
    )
    await tx.emit(
        VersionPublished(resource.org_id, resource.id, resource.type, resource.key, number, content.digest)
    )
    return Version(
        resource_id=resource.id,
        type=resource.type,
        key=resource.key,
        number=number,
        digest=content.digest,
        content=content.content,
        changelog=changelog,
        published_by=by,
        published_at=at,
    )


async def _latest(tx: Transaction, resource: Resource) -> _VersionRow:
    row = await tx.row(
        _VersionRow,
        """
        select v.resource_id, r.type, r.key, v.number, v.digest, v.content, v.changelog, v.published_by, v.published_at
        from catalog.resources r
        join catalog.versions v on v.org_id = r.org_id and v.resource_id = r.id and v.number = r.latest
        where r.org_id = $1 and r.id = $2
        """,
        resource.org_id,
        resource.id,
    )
    if row is None:
        raise LookupError(f"resource {resource.id} names a latest version that does not exist")
    return row


async def number_of(tx: Transaction, resource: Resource, digest: str) -> int | None:
    """The newest version with this content; None when there never was one."""
    number = await tx.value(
        """
        select max(v.number) from catalog.versions v
        where v.org_id = $1 and v.resource_id = $2 and v.digest = $3
        """,
        resource.org_id,
        resource.id,
        digest,
    )
    return number if isinstance(number, int) else None


async def get(db: Tenant | Transaction, viewer: Viewer, resource_id: UUID, version: str) -> Version:
    """A version by number or digest. Refused(ResourceNotFound) or VersionNotFound."""
    by_number = len(version) <= NUMBER_DIGITS
    row = await db.row(
        _VersionRow,
        """
        select v.resource_id, r.type, r.key, v.number, v.digest, v.content, v.changelog, v.published_by, v.published_at
        from catalog.resources r
        join catalog.versions v on v.org_id = r.org_id and v.resource_id = r.id
        where r.id = $2
            and (r.org_id = $1 or r.visibility = 'public') and (r.visibility <> 'private' or r.created_by = $3 or r.type || '/' || r.key ~ $4::text)
            and (v.number = $5 or v.digest = $6)
        order by v.number desc limit 1
        """,
        viewer.org_id,
        resource_id,
        viewer.principal_id,
        viewer.opens,
        int(version) if by_number else None,
        None if by_number else version,
    )
    if row is None:
        await resources.get(db, viewer, resource_id)
        raise Refused(VersionNotFound(version=version))
    return row.version()


async def page(db: Tenant, resource: Resource, below: int, limit: int) -> list[VersionSummary]:
    """Up to `limit` versions with numbers under `below`, newest first."""
    return await db.rows(
        VersionSummary,
        """
        select v.resource_id, v.number, v.digest, v.changelog, v.published_by, v.published_at
        from catalog.versions v
        where v.org_id = $1 and v.resource_id = $2 and v.number < $3
        order by v.number desc limit $4
        """,
        resource.org_id,
        resource.id,
        below,
        limit,
    )


async def resolve(db: Tenant, viewer: Viewer, request: ResolveResource) -> Version:
    """The version that an environment uses: of the org's resource when that is active there, else of the mesh's own.

    With a number that version, wherever it is active.

    Public resources of other orgs are never found by key: whoever publishes one must not be able to take a name over.
    Refused(ResourceNotFound), or NotActive when there is a resource and none is active.
    """
    row = await db.row(
        _VersionRow,
        """
        select v.resource_id, r.type, r.key, v.number, v.digest, v.content, v.changelog, v.published_by, v.published_at
        from catalog.resources r
        left join catalog.activations a on a.org_id = r.org_id and a.resource_id = r.id and a.environment = $7
        join catalog.versions v on v.org_id = r.org_id and v.resource_id = r.id
            and v.number = coalesce($8::integer, a.number)
        where r.org_id in ($1, $2) and r.type = $5 and r.key = $6
            and (r.org_id = $1 or r.visibility = 'public') and (r.visibility <> 'private' or r.created_by = $3 or r.type || '/' || r.key ~ $4::text)
        order by r.org_id = $1 desc limit 1
        """,
        viewer.org_id,
        SYSTEM_ORG,
        viewer.principal_id,
        viewer.opens,
        request.type,
        request.key,
        request.environment,
        request.number,
    )
    if row is None:
        raise Refused(await _unresolved(db, viewer, request))
    return row.version()


async def _unresolved(db: Tenant, viewer: Viewer, request: ResolveResource) -> NotActive | ResourceNotFound:
    exists = await db.value(
        """
        select true from catalog.resources r
        where r.org_id in ($1, $2) and r.type = $5 and r.key = $6
            and (r.org_id = $1 or r.visibility = 'public') and (r.visibility <> 'private' or r.created_by = $3 or r.type || '/' || r.key ~ $4::text)
        limit 1
        """,
        viewer.org_id,
        SYSTEM_ORG,
        viewer.principal_id,
        viewer.opens,
        request.type,
        request.key,
    )
    if exists and request.number is None:
        return NotActive(environment=request.environment)
    version = "" if request.number is None else f"@{request.number}"
    return ResourceNotFound(resource=f"{request.type}/{request.key}{version}")
