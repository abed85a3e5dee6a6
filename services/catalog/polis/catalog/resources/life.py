"""What becomes of a resource beside its content: described anew, deprecated, deleted when nothing needs it any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from polis.catalog.resources import rows as resources
from polis.catalog.versions import uses
from polis.proto import Refused
from polis.proto.catalog import InUse, Resource, ResourceChanged, ResourceDeleted

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

    from polis.catalog.access import Viewer
    from polis.db import Transaction
    from polis.proto.catalog import Status, Tags, Visibility


def tags(given: Tags) -> Tags:
    """Each once, in order, so that the same tags are always told the same way."""
    return tuple(sorted(set(given)))


async def describe(
    tx: Transaction,
    viewer: Viewer,
    resource: Resource,
    *,
    name: str | None,
    visibility: Visibility | None,
    given: Tags | None,
    at: datetime,
) -> Resource:
    """Change what is said of a locked resource; None stays. Refused(Forbidden)."""
    changed = msgspec.structs.replace(
        resource,
        name=resource.name if name is None else name or resource.key,
        visibility=visibility or resource.visibility,
        tags=resource.tags if given is None else tags(given),
    )
    if changed.visibility != resource.visibility:
        viewer.demand_showing(resource.created_by, changed.visibility)
    return resource if changed == resource else await _write(tx, changed, at)


async def _write(tx: Transaction, changed: Resource, at: datetime) -> Resource:
    changed = msgspec.structs.replace(changed, updated_at=at)
    await tx.execute(
        """
        update catalog.resources set name = $3, visibility = $4, tags = $5::text[], updated_at = $6,
            search = catalog.findable(org_id, $4, key, $3, type, $5::text[], body)
        where org_id = $1 and id = $2
        """,
        changed.org_id,
        changed.id,
        changed.name,
        changed.visibility,
        list(changed.tags),
        at,
    )
    await _tell(tx, changed)
    return changed


async def deprecate(tx: Transaction, resource: Resource, note: str, *, by: UUID, at: datetime) -> Resource:
    """Say of a locked resource that nobody should begin to use it."""
    if resource.status == "deprecated" and resource.deprecation == note:
        return resource
    await tx.execute(
        """
        update catalog.resources set status = 'deprecated', deprecated_at = $3, deprecated_by = $4,
            deprecation = $5, updated_at = $3
        where org_id = $1 and id = $2
        """,
        resource.org_id,
        resource.id,
        at,
        by,
        note,
    )
    changed = msgspec.structs.replace(resource, status="deprecated", deprecation=note, updated_at=at)
    await _tell(tx, changed)
    return changed


async def reinstate(tx: Transaction, resource: Resource, *, at: datetime) -> Resource:
    """Take the deprecation of a locked resource back."""
    if resource.status != "deprecated":
        return resource
    status: Status = "draft" if resource.latest is None else "published"
    await tx.execute(
        """
        update catalog.resources set status = $4, deprecated_at = null, deprecated_by = null,
            deprecation = '', updated_at = $3
        where org_id = $1 and id = $2
        """,
        resource.org_id,
        resource.id,
        at,
        status,
    )
    changed = msgspec.structs.replace(resource, status=status, deprecation="", updated_at=at)
    await _tell(tx, changed)
    return changed


async def delete(
    tx: Transaction, viewer: Viewer, resource: Resource, *, along_with: Iterable[UUID] = ()
) -> None:
    """Delete a locked resource with all its versions. Refused(InUse) by anything that is not deleted along with it."""
    await resources.lock_whole(tx, resource)
    users = await uses.users(tx, viewer, resource, without=along_with)
    environments = await _active_in(tx, resource)
    if users.any or environments:
        raise Refused(InUse(users=users.named, environments=environments))
    await tx.execute(
        "delete from catalog.resources where org_id = $1 and id = $2", resource.org_id, resource.id
    )
    await tx.emit(ResourceDeleted(resource.org_id, resource.id, resource.type, resource.key))


async def _active_in(tx: Transaction, resource: Resource) -> tuple[str, ...]:
    found = await tx.rows(
        str,
        """
        select a.environment from catalog.activations a
        where a.org_id = $1 and a.resource_id = $2
        order by a.environment limit 20
        """,
        resource.org_id,
        resource.id,
    )
    return tuple(found)


async def _tell(tx: Transaction, resource: Resource) -> None:
    await tx.emit(ResourceChanged(resource.org_id, resource.id, resource.visibility, resource.status))
