"""Reads of many callers in one statement: what is asked for in one turn of the event loop is looked up together."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from polis.db.deadline import Deadline
from polis.db.gather import Asked, Gathering
from polis.db.rows import to_rows
from polis.db.tenant import in_orgs

if TYPE_CHECKING:
    from uuid import UUID

    from polis.db.database import Database

K = TypeVar("K")
R = TypeVar("R")


_PARAMETER = re.compile(r"(\$\d+(?:::\w+\[\])?)")
"""Each array is put in a sub-select: seen through, it would be planned anew for its length at every call."""


class Batch(Generic[K, R]):
    """Look-ups by key, each in its own org.

    sql: joins `unnest($1::uuid[], $2::uuid[]) with ordinality as q(org_id, id, n)` with the table on org and key, and
    selects `q.n` followed by the columns of `kind`. A key that is a tuple takes one array for each of its parts. The
    join is what keeps orgs apart, row-level security keeps out every org that nobody asked for.
    """

    def __init__(
        self,
        database: Database,
        kind: type[R],
        sql: str,
        *,
        lanes: int = 2,
        largest: int = 256,
        bound: int = 5_000,
    ) -> None:
        self._database = database
        self._kind = kind
        self._sql = _PARAMETER.sub(r"(select \1)", sql)
        self._gathering: Gathering[K, R | None] = Gathering(
            self._serve, database.connections.watch, lanes=lanes, largest=largest, bound=bound
        )

    async def get(self, org_id: UUID, key: K, *, deadline: Deadline | None = None) -> R | None:
        """The row of this key in this org; None without one. Refused as any read, or Overloaded when too many wait."""
        return await self._gathering.ask(org_id, key, deadline)

    async def _serve(self, group: list[Asked[K, R | None]]) -> None:
        try:
            found = await self._read(group)
        except Exception as error:  # noqa: BLE001 - every caller is told
            for asked in group:
                asked.fail(error)
            return
        for asked in group:
            asked.resolve(found.get((asked.org_id, asked.question)))

    async def _read(self, group: list[Asked[K, R | None]]) -> dict[tuple[UUID, K], R]:
        wanted = list({(asked.org_id, asked.question): None for asked in group})
        columns = [[org_id for org_id, _ in wanted], *_columns([key for _, key in wanted])]
        orgs = ",".join({str(org_id) for org_id, _ in wanted})
        records = await self._database.connections.read(
            in_orgs(self._sql, len(columns) + 1),
            (*columns, f"{{{orgs}}}"),
            Deadline(max(asked.deadline.at for asked in group)),
        )
        rows = to_rows(self._kind, records, skip=1)
        return {wanted[record[0] - 1]: row for record, row in zip(records, rows, strict=True)}


def _columns(keys: list[Any]) -> list[list[Any]]:
    """One array for each part of the keys."""
    if isinstance(keys[0], tuple):
        return [list(column) for column in zip(*keys, strict=True)]
    return [keys]
