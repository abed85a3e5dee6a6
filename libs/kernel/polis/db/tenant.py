"""Reads in one org, one round trip each: the statement itself sets the org that row-level security compares with."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from polis.db.rows import to_row, to_rows

if TYPE_CHECKING:
    from uuid import UUID

    from polis.db.database import Database
    from polis.db.deadline import Deadline
    from polis.db.pages import Listing
    from polis.db.transaction import Transaction

T = TypeVar("T")


class Tenant:
    """The rows of one org. Statements still name `org_id`; what they forget, row-level security withholds.

    Only for reading: a statement may be sent twice when its connection breaks.
    """

    __slots__ = ("_database", "_deadline", "org_id")

    def __init__(self, database: Database, org_id: UUID, deadline: Deadline | None) -> None:
        self._database = database
        self._deadline = deadline
        self.org_id = org_id

    async def rows(self, kind: type[T], sql: str, *args: object) -> list[T]:
        """Every row as `kind`: a Struct with fields named like the columns, or the type of a single column."""
        return to_rows(kind, await self._read(sql, args))

    async def page(self, listing: Listing[T], *place: object) -> list[T]:
        """The page at a place of this org, read together with those that others ask for in the same moment."""
        return await self._database.pages(listing).get(self.org_id, place, deadline=self._deadline)

    async def row(self, kind: type[T], sql: str, *args: object) -> T | None:
        """The first row; None without one."""
        return to_row(kind, await self._read(sql, args))

    async def value(self, sql: str, *args: object) -> Any:
        """The first column of the first row; None without a row."""
        found = await self._read(sql, args)
        return found[0][0] if found else None

    def transaction(self) -> Transaction:
        return self._database.transaction([self.org_id], deadline=self._deadline)

    async def _read(self, sql: str, args: tuple[object, ...]) -> list[Any]:
        return await self._database.connections.read(
            in_orgs(sql, len(args) + 1), (*args, f"{{{self.org_id}}}"), self._deadline
        )


@lru_cache(maxsize=1024)
def in_orgs(sql: str, parameter: int) -> str:
    """The statement behind one that sets `polis.orgs`, from this parameter, for the statement's own duration.

    The setting is made where the number of rows to leave out is computed, which is none: that is done once, on top of
    everything, before the first row is asked for. No policy looks at the setting before it is made; one that did would
    find nothing. There it costs neither a plan of its own nor a look at each row, as it would in a condition.
    """
    made = f"set_config('polis.orgs', ${parameter}, true)"
    return f"select q.* from ({sql}\n) as q offset octet_length({made}) * 0"  # noqa: S608 - constants only
