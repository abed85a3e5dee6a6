"""Graphs that are active and would not run any more with the components that are active now: nobody brings that about unawares."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from msgspec import Struct

from polis.catalog.resources import content
from polis.proto import Refused
from polis.proto.catalog import BreaksGraphs, ContentInvalid

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from polis.catalog.access import Viewer
    from polis.db import Transaction
    from polis.javascript import Pool

_LOOKED_AT = 500
"""Graphs that are looked at for one component."""
_NAMED = 20


class _Active(Struct, frozen=True):
    key: str
    content: str
    shown: bool


@asynccontextmanager
async def unbroken(
    tx: Transaction, viewer: Viewer, components: Sequence[str], scripts: Pool
) -> AsyncIterator[None]:
    """Let components be activated in between. Refused(BreaksGraphs) when graphs ran before and would not afterwards."""
    before = await _broken(tx, viewer, components, scripts) if components else {}
    yield
    after = await _broken(tx, viewer, components, scripts) if components else {}
    if new := after.keys() - before.keys():
        raise Refused(BreaksGraphs(graphs=tuple(sorted(key for key in new if after[key]))[:_NAMED]))


async def _broken(
    tx: Transaction, viewer: Viewer, components: Sequence[str], scripts: Pool
) -> dict[str, bool]:
    """Active graphs of the org that use these components and do not fit them, and whether the viewer may know of each."""
    broken = {}
    for graph in await _users(tx, viewer, components):
        try:
            await content.check(
                tx, viewer, "graph", graph.key, content.stored(graph.content), scripts=scripts
            )
        except Refused as refusal:
            if not isinstance(refusal.problem, ContentInvalid):
                raise
            broken[graph.key] = graph.shown
    return broken


async def _users(tx: Transaction, viewer: Viewer, components: Sequence[str]) -> list[_Active]:
    """By key, since a component of the org's own goes before one that ships."""
    return await tx.rows(
        _Active,
        """
        select r.key, v.content, bool_or(coalesce(
            r.visibility <> 'private' or r.created_by = $3 or r.type || '/' || r.key ~ $4::text, false)) as shown
        from catalog.uses u
        join catalog.resources r on r.org_id = u.org_id and r.id = u.resource_id and r.type = 'graph'
        join catalog.activations a on a.org_id = u.org_id and a.resource_id = u.resource_id and a.number = u.number
        join catalog.versions v on v.org_id = u.org_id and v.resource_id = u.resource_id and v.number = u.number
        where u.org_id = $1 and u.used_type = 'component' and u.used_key = any($2::text[])
        group by r.key, v.content
        order by r.key limit $5
        """,
        viewer.org_id,
        sorted(components),
        viewer.principal_id,
        viewer.opens,
        _LOOKED_AT,
    )
