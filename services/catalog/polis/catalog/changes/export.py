"""An org's resources as the changes that make them: read one after another, and all as they were at one moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from polis.catalog.changes import state
from polis.catalog.signatures import bring

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from uuid import UUID

    from polis.catalog.access import Viewer
    from polis.db import Transaction
    from polis.proto.catalog import Change, Resource

TIMEOUT_S = 120.0
"""How long an export may take: its moment keeps the database from tidying up behind it, and a connection busy."""
AT_ONCE = 2
"""Exports of a replica at a time, one of an org: each holds one of its few connections."""
_READ = 8
"""Contents that are read together: each may have half a megabyte."""


class _Pointer(Struct, frozen=True):
    """What an environment uses of the n-th resource."""

    n: int
    environment: str
    content: str


async def changes(tx: Transaction, viewer: Viewer) -> AsyncIterator[Change]:
    """Every resource of the org that the viewer may see: its draft, then each environment by name, then who vouches for them."""
    kind, key, more = "", "", True
    while more:
        found = await state.page(tx, viewer, kind, key, _READ + 1)
        more = len(found) > _READ
        if more:
            kind, key = found[-1].type, found[-1].key
        active = _active(tx, viewer.org_id, found[:_READ])
        pointer = await anext(active, None)
        signed = bring.told(tx, viewer.org_id, found[:_READ])
        signature = await anext(signed, None)
        for n, (resource, draft) in enumerate(await state.drafted(tx, viewer.org_id, found[:_READ]), 1):
            yield state.put(resource, draft)
            while pointer is not None and pointer.n == n:
                yield state.activation(resource, draft, pointer.environment, pointer.content)
                pointer = await anext(active, None)
            while signature is not None and signature.n == n:
                yield signature.change(resource)
                signature = await anext(signed, None)


async def _active(tx: Transaction, org_id: UUID, found: Sequence[Resource]) -> AsyncIterator[_Pointer]:
    """What the environments use of these resources, in their order, a few contents at a time."""
    last = _Pointer(0, "", "")
    while True:
        rows = await tx.rows(
            _Pointer,
            """
            select w.n::integer as n, a.environment, v.content
            from unnest($2::uuid[]) with ordinality as w (id, n)
            cross join lateral (
                select a.environment, a.number from catalog.activations a
                where a.org_id = $1 and a.resource_id = w.id offset 0
            ) a
            join catalog.versions v on v.org_id = $1 and v.resource_id = w.id and v.number = a.number
            where (w.n, a.environment) > ($3, $4)
            order by w.n, a.environment limit $5
            """,
            org_id,
            [resource.id for resource in found],
            last.n,
            last.environment,
            _READ,
        )
        for row in rows:
            yield row
        if len(rows) < _READ:
            return
        last = rows[-1]
