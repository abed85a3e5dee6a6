"""Finding resources by words, and by what is said of them: the same rules of sight as for a list, the best fit first."""

from __future__ import annotations

import re
import unicodedata
from hashlib import sha256
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.proto.catalog import Resource

if TYPE_CHECKING:
    from polis.catalog.access import Viewer
    from polis.db import Database, Deadline, Tenant
    from polis.proto.catalog import SearchResources

_WORD = re.compile(r"[^\W_]+")
_MAX_WORDS = 16


class Position(Struct, frozen=True):
    """Where a search continues: behind the last item, in the search that gave it out."""

    search: str
    rank: float = float("inf")
    key: str = ""
    id: UUID = UUID(int=0)


class Hit(Struct, frozen=True):
    """A resource, and how well it fits."""

    rank: float
    resource: Resource


class _Found(Struct, frozen=True):
    id: UUID
    rank: float


def name_of(request: SearchResources) -> str:
    """What tells two searches apart, whatever page of them is asked for."""
    asked = (request.text, request.type, request.tag, request.status, request.owner)
    return sha256(msgspec.json.encode(asked)).hexdigest()[:16]


def query_of(text: str) -> str:
    """A tsquery: each word of the text as the beginning of a word; empty without any."""
    return " & ".join(
        f"'{word}':*" for word in _WORD.findall(unicodedata.normalize("NFC", text).lower())[:_MAX_WORDS]
    )


async def page(
    database: Database, viewer: Viewer, request: SearchResources, after: Position, *, deadline: Deadline
) -> list[Hit]:
    """The request's limit of resources behind a position, and one more: the org's that the viewer may see, and public ones."""
    if request.text.strip() and not query_of(request.text):
        return []  # signs alone are no word of anything; no text at all is everything
    found = await _found(database, viewer, request, after, deadline)
    db = database.tenant(viewer.org_id, deadline=deadline)
    shown = {resource.id: resource for resource in await _shown(db, viewer, [hit.id for hit in found])}
    return [Hit(hit.rank, shown[hit.id]) for hit in found if hit.id in shown]


async def _found(
    database: Database, viewer: Viewer, request: SearchResources, after: Position, deadline: Deadline
) -> list[_Found]:
    """Ids alone, found across orgs: a policy would keep the planner from the index, as `@@` is not known not to leak.

    The statement names org and visibility itself, and what it finds is read under the policies like anything else.
    """
    async with database.across_orgs(deadline=deadline) as tx:
        return await tx.rows(
            _Found,
            """
            select r.id, r.rank from (
                select o.id, o.key,
                    case when $4 = '' then 0 else ts_rank(o.search, to_tsquery('pg_catalog.simple', $4)) end as rank
                from catalog.resources o
                where o.search @@ case when $4 = '' then $13::text::tsquery
                        else to_tsquery('pg_catalog.simple', $4) && $13::text::tsquery end
                    and (o.org_id = $1 or o.visibility = 'public')
                    and (o.visibility <> 'private' or o.created_by = $2 or o.type || '/' || o.key ~ $3::text)
                    and ($5::text is null or o.type = $5) and ($6::text is null or $6 = any(o.tags))
                    and ($7::text is null or o.status = $7) and ($8::uuid is null or o.created_by = $8)
            ) r
            where r.rank < $9::real or (r.rank = $9::real and (r.key, r.id) > ($10, $11))
            order by r.rank desc, r.key, r.id limit $12
            """,
            viewer.org_id,
            viewer.principal_id,
            viewer.opens,
            query_of(request.text),
            request.type,
            request.tag,
            request.status,
            request.owner,
            after.rank,
            after.key,
            after.id,
            request.limit + 1,
            f"' {viewer.org_id}' | ' public'",
        )


async def _shown(db: Tenant, viewer: Viewer, ids: list[UUID]) -> list[Resource]:
    return await db.rows(
        Resource,
        """
        select r.id, r.org_id, r.type, r.key, r.name, r.visibility, r.revision, r.latest, r.created_by,
            r.created_at, r.updated_at, r.tags, r.status, r.deprecation
        from (
            select o.* from catalog.resources o where o.org_id = $1 and o.id = any($4::uuid[])
            union all
            select p.* from catalog.resources p
            where p.visibility = 'public' and p.id = any($4::uuid[]) and p.org_id <> $1
        ) r
        where r.visibility <> 'private' or r.created_by = $2 or r.type || '/' || r.key ~ $3::text
        order by r.id
        """,
        viewer.org_id,
        viewer.principal_id,
        viewer.opens,
        ids,
    )
