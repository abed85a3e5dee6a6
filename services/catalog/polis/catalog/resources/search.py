"""Finding resources by words, and by what is said of them: the same rules of sight as for a list, the best fit first."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.proto.catalog import Resource

if TYPE_CHECKING:
    from polis.catalog.access import Viewer
    from polis.db import Tenant
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


class _Row(Resource, frozen=True, kw_only=True):
    rank: float


def name_of(request: SearchResources) -> str:
    """What tells two searches apart, whatever page of them is asked for."""
    asked = (request.text, request.type, request.tag, request.status, request.owner)
    return sha256(msgspec.json.encode(asked)).hexdigest()[:16]


def query_of(text: str) -> str:
    """A tsquery: each word of the text as the beginning of a word; empty without any."""
    return " & ".join(f"'{word}':*" for word in _WORD.findall(text.lower())[:_MAX_WORDS])


async def page(
    db: Tenant, viewer: Viewer, request: SearchResources, after: Position, limit: int
) -> list[Hit]:
    """Up to `limit` resources behind a position: the org's that the viewer may see, and public ones."""
    rows = await db.rows(
        _Row,
        """
        select r.id, r.org_id, r.type, r.key, r.name, r.visibility, r.revision, r.latest, r.created_by,
            r.created_at, r.updated_at, r.tags, r.status, r.deprecation, r.rank
        from (
            select s.*, case when $4 = '' then 0 else ts_rank(s.search, to_tsquery('pg_catalog.simple', $4)) end as rank
            from (
                select o.* from catalog.resources o
                where o.org_id = $1 and (o.visibility <> 'private' or o.created_by = $2 or o.type || '/' || o.key ~ $3::text)
                union all
                select p.* from catalog.resources p where p.visibility = 'public' and p.org_id <> $1
            ) s
            where ($4 = '' or s.search @@ to_tsquery('pg_catalog.simple', $4))
                and ($5::text is null or s.type = $5) and ($6::text is null or $6 = any(s.tags))
                and ($7::text is null or s.status = $7) and ($8::uuid is null or s.created_by = $8)
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
        limit,
    )
    return [Hit(row.rank, _resource(row)) for row in rows]


def _resource(row: _Row) -> Resource:
    return Resource(**{name: getattr(row, name) for name in Resource.__struct_fields__})
