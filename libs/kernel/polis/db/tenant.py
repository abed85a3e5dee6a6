"""Reads in one org, one round trip each: the statement itself sets the org that row-level security compares with."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from polis.db.connections import Connections
    from polis.db.database import Database
    from polis.db.deadline import Deadline
    from polis.db.transaction import Transaction

T = TypeVar("T")


class Tenant:
    """The rows of one org. Statements still name `org_id`; what they forget, row-level security withholds."""

    __slots__ = ("_connections", "_database", "_deadline", "org_id")

    def __init__(
        self, database: Database, connections: Connections, org_id: UUID, deadline: Deadline | None
    ) -> None:
        self._database = database
        self._connections = connections
        self._deadline = deadline
        self.org_id = org_id

    async def rows(self, kind: type[T], sql: str, *args: object) -> list[T]:
        return [to(kind, row) for row in await self._fetch(sql, args)]

    async def row(self, kind: type[T], sql: str, *args: object) -> T | None:
        found = await self._fetch(sql, args)
        return to(kind, found[0]) if found else None

    async def value(self, sql: str, *args: object) -> Any:
        """The first column of the first row; None without a row."""
        found = await self._fetch(sql, args)
        return next(iter(found[0].values())) if found else None

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        return self._database.transaction([self.org_id], deadline=self._deadline)

    async def _fetch(self, sql: str, args: tuple[object, ...]) -> list[Mapping[str, Any]]:
        async with self._connections.use(self._deadline) as lease:
            rows: list[Mapping[str, Any]] = await lease.fetch(
                in_tenant(sql, len(args) + 1), *args, "{" + str(self.org_id) + "}"
            )
        return rows


@lru_cache(maxsize=1024)
def in_tenant(sql: str, parameter: int) -> str:
    """The statement inside one that first sets `polis.orgs` for its own duration.

    The outer row is made once; the inner query hangs on it by a condition that the planner turns into a one-time filter
    above the scan, so the policy cannot be evaluated before the setting is made.
    """
    return (
        f"select r.* from (select set_config('polis.orgs', ${parameter}, true) as orgs offset 0) as tenant, "  # noqa: S608 - constants only
        f"lateral (select q.* from ({sql}) as q where tenant.orgs is not null offset 0) as r"
    )


def to(kind: type[T], row: Mapping[str, Any]) -> T:
    """A row as a Struct, checked; columns have the names of its fields."""
    return msgspec.convert(dict(row), kind)
