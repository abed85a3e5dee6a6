"""Rows of resources and their drafts. What a content must be is not known here."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.catalog.access import WRITING
from polis.db import Batch, Caller, GroupCommit
from polis.proto import Refused
from polis.proto.catalog import (
    Draft,
    ForeignResource,
    KeyTaken,
    Resource,
    ResourceCreated,
    ResourceNotFound,
    RevisionConflict,
)
from polis.proto.problems import Forbidden

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from polis.catalog.access import Viewer
    from polis.db import Database, Tenant, Transaction


class Position(Struct, frozen=True):
    """Where a list of resources continues: the last item's sort key, and the filter that the list had."""

    type: str | None
    key: str = ""
    id: UUID = UUID(int=0)


class _DraftRow(Struct, frozen=True):
    resource_id: UUID
    type: str
    revision: int
    content: str


class _Locked(Resource, frozen=True, kw_only=True):
    seen: bool


class New(Struct, frozen=True):
    """A resource to be made, and its draft as canonical JSON."""

    resource: Resource
    draft: str

    @property
    def org_id(self) -> UUID:
        return self.resource.org_id


def creations(database: Database) -> GroupCommit[New, Resource]:
    """Creates resources as `create` does; those of one moment share one transaction."""
    return GroupCommit(database, _create_each, key=lambda new: (new.resource.type, new.resource.key))


async def create(tx: Transaction, new: New) -> Resource:
    """Store a new resource with its draft and tell. Refused(KeyTaken)."""
    [answer] = await _create_each(tx, [Caller.here(new.org_id)], [new])
    if isinstance(answer, Refused):
        raise answer
    return answer


async def _create_each(
    tx: Transaction, callers: Sequence[Caller], news: Sequence[New]
) -> list[Resource | Refused]:
    made = [new.resource for new in news]
    created = await tx.rows(
        UUID,
        """
        with wanted as (
            select org_id, id, type, key, name, visibility, created_by, created_at, content, tags
            from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::uuid[],
                $8::timestamptz[], $9::text[], $10::text[])
                as n (org_id, id, type, key, name, visibility, created_by, created_at, content, tags)
            -- As a change set creates them: who waits for a key of the other never holds one that the other waits for.
            order by org_id, type <> 'component', type, key
        ), created as (
            insert into catalog.resources
                (org_id, id, type, key, name, visibility, revision, created_by, created_at, updated_at, tags,
                search)
            select org_id, id, type, key, name, visibility, 1, created_by, created_at, created_at,
                string_to_array(tags, ' '),
                catalog.findable(org_id, visibility, key, name, type, string_to_array(tags, ' '), '')
            from wanted
            on conflict on constraint resources_key do nothing
            returning org_id, id
        )
        insert into catalog.drafts (org_id, resource_id, content)
        select w.org_id, w.id, w.content from created c join wanted w on w.org_id = c.org_id and w.id = c.id
        returning resource_id
        """,
        [caller.org_id for caller in callers],
        [resource.id for resource in made],
        [resource.type for resource in made],
        [resource.key for resource in made],
        [resource.name for resource in made],
        [resource.visibility for resource in made],
        [resource.created_by for resource in made],
        [resource.created_at for resource in made],
        [new.draft for new in news],
        [" ".join(resource.tags) for resource in made],
    )
    stored, answers = set(created), list[Resource | Refused]()
    for caller, resource in zip(callers, made, strict=True):
        if resource.id not in stored:
            answers.append(Refused(KeyTaken(resource_type=resource.type, key=resource.key)))
            continue
        event = ResourceCreated(resource.org_id, resource.id, resource.type, resource.key)
        await tx.emit(event, trace=caller.trace)
        answers.append(resource)
    return answers


async def get(db: Tenant | Transaction, viewer: Viewer, resource_id: UUID) -> Resource:
    """A resource that the viewer may see, of the org or public. Refused(ResourceNotFound)."""
    resource = await db.row(
        Resource,
        """
        select r.id, r.org_id, r.type, r.key, r.name, r.visibility, r.revision, r.latest, r.created_by,
            r.created_at, r.updated_at, r.tags, r.status, r.deprecation
        from catalog.resources r
        where r.id = $2
            and (r.org_id = $1 or r.visibility = 'public') and (r.visibility <> 'private' or r.created_by = $3 or r.type || '/' || r.key ~ $4::text)
        """,
        viewer.org_id,
        resource_id,
        viewer.principal_id,
        viewer.opens,
    )
    if resource is None:
        raise Refused(ResourceNotFound(resource=str(resource_id)))
    return resource


def by_id(database: Database) -> Batch[tuple[UUID, UUID, str | None], Resource]:
    """Look-ups of (id, principal, opens), as `get` would: those of one moment share one statement.

    Two branches and no `or`, which the planner would answer by reading every public resource.
    """
    return Batch(
        database,
        Resource,
        """
        select q.n, r.id, r.org_id, r.type, r.key, r.name, r.visibility, r.revision, r.latest, r.created_by,
            r.created_at, r.updated_at, r.tags, r.status, r.deprecation
        from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[]) with ordinality
            as q(org_id, id, principal_id, opens, n)
        cross join lateral (
            select o.* from catalog.resources o
            where o.org_id = q.org_id and o.id = q.id
                and (o.visibility <> 'private' or o.created_by = q.principal_id
                    or o.type || '/' || o.key ~ q.opens)
            union all
            select p.* from catalog.resources p
            where p.visibility = 'public' and p.id = q.id and p.org_id <> q.org_id
        ) r
        """,
    )


async def page(db: Tenant, viewer: Viewer, after: Position, limit: int) -> list[Resource]:
    """Up to `limit` resources behind a position: the org's that the viewer may see, and public ones, by key and id.

    Two index scans that end after `limit` rows each, merged: an `or` over both would sort everything first.
    """
    return await db.rows(
        Resource,
        """
        select r.id, r.org_id, r.type, r.key, r.name, r.visibility, r.revision, r.latest, r.created_by,
            r.created_at, r.updated_at, r.tags, r.status, r.deprecation
        from (
            (
                select o.* from catalog.resources o
                where o.org_id = $1 and (o.key, o.id) > ($5, $6) and ($4::text is null or o.type = $4)
                    and (o.visibility <> 'private' or o.created_by = $2 or o.type || '/' || o.key ~ $3::text)
                order by o.key, o.id limit $7
            )
            union all
            (
                select p.* from catalog.resources p
                where p.visibility = 'public' and p.org_id <> $1
                    and (p.key, p.id) > ($5, $6) and ($4::text is null or p.type = $4)
                order by p.key, p.id limit $7
            )
        ) r
        order by r.key, r.id limit $7
        """,
        viewer.org_id,
        viewer.principal_id,
        viewer.opens,
        after.type,
        after.key,
        after.id,
        limit,
    )


async def lock(tx: Transaction, viewer: Viewer, resource_id: UUID) -> Resource:
    """A resource of the org, locked until the transaction ends: changes of one resource happen one after another.

    Refused(ResourceNotFound), or ForeignResource when it is another org's public one.
    """
    resource = await tx.row(
        Resource,
        """
        select r.id, r.org_id, r.type, r.key, r.name, r.visibility, r.revision, r.latest, r.created_by,
            r.created_at, r.updated_at, r.tags, r.status, r.deprecation
        from catalog.resources r
        where r.org_id = $1 and r.id = $2 and (r.visibility <> 'private' or r.created_by = $3 or r.type || '/' || r.key ~ $4::text)
        for no key update
        """,
        viewer.org_id,
        resource_id,
        viewer.principal_id,
        viewer.opens_writing,
    )
    if resource is None:
        raise await _not_ours(tx, viewer, resource_id)
    return resource


async def lock_named(tx: Transaction, viewer: Viewer, names: Sequence[tuple[str, str]]) -> list[Resource]:
    """Those resources of the org that have one of these types and keys, locked as by `lock`.

    Refused(ResourceNotFound) when the viewer may not see one of them.
    """
    found = await tx.rows(
        _Locked,
        """
        select r.id, r.org_id, r.type, r.key, r.name, r.visibility, r.revision, r.latest, r.created_by,
            r.created_at, r.updated_at, r.tags, r.status, r.deprecation,
            coalesce(r.visibility <> 'private' or r.created_by = $2 or r.type || '/' || r.key ~ $3::text, false) as seen
        from catalog.resources r
        where r.org_id = $1 and (r.type, r.key) in (select * from unnest($4::text[], $5::text[]))
        order by r.id
        for no key update of r
        """,
        viewer.org_id,
        viewer.principal_id,
        viewer.opens_writing,
        [kind for kind, _ in names],
        [key for _, key in names],
    )
    for row in found:
        if not row.seen:
            raise Refused(ResourceNotFound(resource=f"{row.type}/{row.key}"))
    return [Resource(**{name: getattr(row, name) for name in Resource.__struct_fields__}) for row in found]


async def lock_whole(tx: Transaction, *locked: Resource) -> None:
    """Lock locked resources of one org against being named by others too: until the transaction ends nothing begins to use them."""
    if locked:
        await tx.execute(
            "select from catalog.resources r where r.org_id = $1 and r.id = any($2::uuid[]) order by r.id for update",
            locked[0].org_id,
            [resource.id for resource in locked],
        )


async def draft(db: Tenant | Transaction, viewer: Viewer, resource_id: UUID, only: str | None) -> Draft:
    """The draft of a resource of the org, with `only` of one of that type. Refused as `lock`."""
    row = await db.row(
        _DraftRow,
        """
        select d.resource_id, r.type, r.revision, d.content
        from catalog.resources r
        join catalog.drafts d on d.org_id = r.org_id and d.resource_id = r.id
        where r.org_id = $1 and r.id = $2 and (r.visibility <> 'private' or r.created_by = $3 or r.type || '/' || r.key ~ $4::text)
        """,
        viewer.org_id,
        resource_id,
        viewer.principal_id,
        viewer.opens,
    )
    if row is None:
        raise await _not_ours(db, viewer, resource_id)
    demand_type(resource_id, row.type, only)
    return Draft(row.resource_id, row.revision, msgspec.json.decode(row.content, type=dict[str, object]))


async def drafted(tx: Transaction, resource: Resource) -> str:
    """The draft of a locked resource, as canonical JSON."""
    content = await tx.value(
        "select d.content from catalog.drafts d where d.org_id = $1 and d.resource_id = $2",
        resource.org_id,
        resource.id,
    )
    if content is None:
        raise LookupError(f"resource {resource.id} has no draft")
    return str(content)


async def put_draft(tx: Transaction, resource: Resource, content: str, *, at: datetime) -> int:
    """Replace the draft of a locked resource; its new revision. The same content again changes nothing."""
    changed = await tx.execute(
        """
        update catalog.drafts set content = $3
        where org_id = $1 and resource_id = $2 and content <> $3
        """,
        resource.org_id,
        resource.id,
        content,
    )
    if not changed:
        return resource.revision
    await tx.execute(
        "update catalog.resources set revision = revision + 1, updated_at = $3 where org_id = $1 and id = $2",
        resource.org_id,
        resource.id,
        at,
    )
    return resource.revision + 1


def demand_type(resource_id: UUID, found: str, asked: str | None) -> None:
    """Refused(ResourceNotFound) when a resource of another type was asked for; None: any."""
    if asked not in (None, found):
        raise Refused(ResourceNotFound(resource=str(resource_id)))


def demand_revision(resource: Resource, expected: int | None) -> None:
    """Refused(RevisionConflict) unless the draft is still the one that was read."""
    if expected is not None and expected != resource.revision:
        raise Refused(RevisionConflict(expected=expected, actual=resource.revision))


async def _not_ours(db: Tenant | Transaction, viewer: Viewer, resource_id: UUID) -> Refused:
    try:
        resource = await get(db, viewer, resource_id)
    except Refused as refusal:
        return refusal
    if resource.org_id == viewer.org_id:
        return Refused(Forbidden(scope=WRITING))
    return Refused(ForeignResource(resource=str(resource_id)))
