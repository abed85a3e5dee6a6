"""Pages of many callers in one statement: those that are asked for in one turn of the event loop are read together.

A page is planned once for all who ask, with or without others beside it, so only those belong here that one plan fits:
an org and a place in an order that an index has. A list that is narrowed by whatever was chosen is read by `Tenant`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from polis.db.deadline import Deadline
from polis.db.gather import Asked, Gathering
from polis.db.rows import to_rows
from polis.db.tenant import in_orgs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from polis.db.connections import Connections

R = TypeVar("R")
Place = tuple[Any, ...]
"""What tells a page from others of its org, part by part."""

_PARAMETER = re.compile(r"\$(\d+)")
_IN_ITS_ORG = re.compile(r"\borg_id = \$1\b")


class Listing(Generic[R]):
    """A statement for pages of some rows.

    sql: one page. `$1` is its org, `$2` and what follows are the parts of a place; it bounds its rows and puts them in
    order. It names its org (ValueError): that is what keeps the orgs of one group apart, row-level security keeps out
    every org that nobody asked for.
    types: of the parts, as PostgreSQL calls them.
    largest: pages in one statement: what comes back is taken apart in one go, so few where pages are large.
    """

    def __init__(self, kind: type[R], sql: str, *types: str, largest: int = 16) -> None:
        if not _IN_ITS_ORG.search(sql):
            raise ValueError(f"a page that does not say `org_id = $1`: {sql}")
        self.kind = kind
        self.sql = sql
        self.largest = largest
        self.alone = in_orgs(alone(sql, ("uuid", *types)), len(types) + 2)
        self.together = in_orgs(together(sql, ("uuid", *types)), len(types) + 2)


class Pages(Generic[R]):
    """Pages of one listing: places of callers, each in its own org."""

    def __init__(
        self, connections: Connections, listing: Listing[R], *, lanes: int = 2, bound: int = 5_000
    ) -> None:
        self._connections = connections
        self._listing = listing
        self._gathering: Gathering[Place, list[R]] = Gathering(
            self._serve, connections.watch, lanes=lanes, largest=listing.largest, bound=bound
        )

    async def get(self, org_id: UUID, place: Place, *, deadline: Deadline | None = None) -> list[R]:
        """The page at this place of this org, in its order. Refused as any read, or Overloaded when too many wait."""
        if not self._gathering.enter():
            return await self._gathering.ask(org_id, place, deadline)
        try:
            return await self._one(org_id, place, deadline)
        finally:
            self._gathering.leave()

    async def _serve(self, group: list[Asked[Place, list[R]]]) -> None:
        wanted = list({(asked.org_id, asked.question): None for asked in group})
        try:
            found = await self._read(wanted, Deadline(max(asked.deadline.at for asked in group)))
        except Exception as error:  # noqa: BLE001 - every caller is told
            for asked in group:
                asked.fail(error)
            return
        pages = dict(zip(wanted, found, strict=True))
        for asked in group:
            asked.resolve([*pages[asked.org_id, asked.question]])

    async def _read(self, wanted: list[tuple[UUID, Place]], deadline: Deadline) -> list[list[R]]:
        if len(wanted) == 1:
            return [await self._one(*wanted[0], deadline)]
        columns = [
            list(column) for column in zip(*((org_id, *place) for org_id, place in wanted), strict=True)
        ]
        orgs = ",".join({str(org_id) for org_id, _ in wanted})
        records = await self._connections.read(self._listing.together, (*columns, f"{{{orgs}}}"), deadline)
        found: list[list[R]] = [[] for _ in wanted]
        for record, row in zip(records, to_rows(self._listing.kind, records, skip=1), strict=True):
            found[record[0] - 1].append(row)
        return found

    async def _one(self, org_id: UUID, place: Place, deadline: Deadline | None) -> list[R]:
        records = await self._connections.read(
            self._listing.alone, (org_id, *place, f"{{{org_id}}}"), deadline
        )
        return to_rows(self._listing.kind, records)


def alone(sql: str, types: Sequence[str]) -> str:
    """The statement of one page.

    Its parameters stand in sub-selects: seen through, it would be planned anew at every call, for as long as it is read.
    """
    return _PARAMETER.sub(lambda found: f"(select ${found[1]}::{types[int(found[1]) - 1]})", sql)


def together(sql: str, types: Sequence[str]) -> str:
    """The statement of many pages, from an array for each parameter; `n` tells whose a row is.

    Each is a lateral of what was asked: the only way to join it is one page after the other, so rows keep their order.
    """
    arrays = ", ".join(f"(select ${n}::{kind}[])" for n, kind in enumerate(types, 1))
    names = ", ".join(f"p{n}" for n in range(1, len(types) + 1))
    page = _PARAMETER.sub(r"asked.p\1", sql)
    return (
        f"select asked.n, page.* from unnest({arrays}) with ordinality as asked({names}, n)"  # noqa: S608 - constants only
        f" cross join lateral ({page}\n) as page"
    )
