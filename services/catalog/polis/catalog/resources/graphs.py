"""The graphs that a graph names, and those that these name: found for whoever writes it, as deep as graphs may stand in graphs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from polis.catalog.access import SYSTEM_ORG
from polis.graph import MAX_DEPTH, GraphUse, graph_uses
from polis.proto.graph import Graph

if TYPE_CHECKING:
    from collections.abc import Iterable

    from polis.catalog.access import Viewer
    from polis.db import Tenant, Transaction


class _GraphRow(Struct, frozen=True):
    n: int
    content: str


async def named(db: Tenant | Transaction, viewer: Viewer, graph: Graph) -> dict[GraphUse, Graph]:
    """Every graph that there is of those that a graph names, directly or by another."""
    found: dict[GraphUse, Graph] = {}
    wanted = set(graph_uses(graph))
    for _ in range(MAX_DEPTH):
        new = await _resolve(db, viewer, sorted(wanted - found.keys()))
        found |= new
        wanted = {use for inner in new.values() for use in graph_uses(inner)}
    return found


async def _resolve(
    db: Tenant | Transaction, viewer: Viewer, uses: Iterable[GraphUse]
) -> dict[GraphUse, Graph]:
    wanted = list(uses)
    if not wanted:
        return {}
    rows = await db.rows(
        _GraphRow,
        """
        select distinct on (w.n) w.n::integer as n, v.content
        from unnest($5::text[], $6::integer[], $7::text[]) with ordinality as w (key, number, environment, n)
        cross join lateral (
            select r.org_id, r.id from catalog.resources r
            where r.org_id in ($1, $2) and r.type = 'graph' and r.key = w.key
                and (r.org_id = $1 or r.visibility = 'public')
                and (r.visibility <> 'private' or r.created_by = $3 or r.type || '/' || r.key ~ $4::text) offset 0
        ) r
        left join lateral (
            select n.number from catalog.activations n
            where n.org_id = r.org_id and n.resource_id = r.id and n.environment = w.environment offset 0
        ) a on true
        cross join lateral (
            select f.content from catalog.versions f where f.org_id = r.org_id and f.resource_id = r.id
                and f.number = case when w.number > 0 then w.number else a.number end offset 0
        ) v
        order by w.n, r.org_id = $1 desc
        """,
        viewer.org_id,
        SYSTEM_ORG,
        viewer.principal_id,
        viewer.opens,
        [use.key for use in wanted],
        [use.number for use in wanted],
        [use.environment for use in wanted],
    )
    return {wanted[row.n - 1]: msgspec.json.decode(row.content, type=Graph) for row in rows}
