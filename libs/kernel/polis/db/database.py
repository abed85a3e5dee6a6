"""One service's database: reads in an org, transactions in orgs, and the rare look across them."""

from __future__ import annotations

import re
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Self, TypeVar
from uuid import UUID

from polis.db.connections import Connections
from polis.db.deadline import Deadline
from polis.db.errors import is_outage
from polis.db.pages import Listing, Pages
from polis.db.tenant import Tenant, in_orgs
from polis.db.transaction import Transaction
from polis.proto import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from polis.db.emit import Emitted

R = TypeVar("R")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")


class Database:
    """The connections of a process to the schema of its service, under the role `app_<service>`.

    sessions: by what PostgreSQL knows them (`application_name`).
    """

    def __init__(self, connections: Connections, service: str, url: str, *, sessions: str = "") -> None:
        self.connections = connections
        self.service = checked_name(service)
        self.url = url
        self.sessions = sessions
        self._pages: dict[Listing[Any], Pages[Any]] = {}
        self._on_emit: list[Callable[[Sequence[Emitted]], None]] = []

    @classmethod
    async def open(cls, url: str, *, service: str, size: int = 6, name: str = "") -> Self:
        """Connect once. Refused(Unavailable) when PostgreSQL does not come up in 10 s."""
        # Its own among all processes of the service, so that the sessions of one that is dead can be told from others.
        known = name or f"polis-{service}-{token_hex(8)}"
        connections = Connections(url, size=size, name=known)
        await connections.open()
        return cls(connections, service, url, sessions=known)

    async def close(self) -> None:
        await self.connections.close()

    async def ping(self, timeout_s: float) -> None:
        """Refused when PostgreSQL does not answer in time."""
        async with self.connections.use(Deadline.after(timeout_s)) as lease:
            await lease.fetch("select 1")

    def on_emit(self, callback: Callable[[Sequence[Emitted]], None]) -> None:
        """Call back whenever a transaction of this process has committed events, with those."""
        self._on_emit.append(callback)

    def emitted(self, events: Sequence[Emitted]) -> None:
        for callback in self._on_emit:
            callback(events)

    def tenant(self, org_id: UUID, *, deadline: Deadline | None = None) -> Tenant:
        """Reads in one org, one round trip each."""
        return Tenant(self, _org(org_id), deadline)

    def pages(self, listing: Listing[R]) -> Pages[R]:
        """All that ask for pages of one listing ask in one place."""
        found = self._pages.get(listing)
        if found is None:
            found = self._pages[listing] = Pages(self.connections, listing)
        return found

    def transaction(self, org_ids: Sequence[UUID], *, deadline: Deadline | None = None) -> Transaction:
        """A transaction that sees the rows of these orgs, at read committed."""
        return Transaction(
            self, org_ids, f"begin; select set_config('polis.orgs', '{_array(org_ids)}', true)", deadline
        )

    async def write_at_once(
        self, org_ids: Sequence[UUID], sql: str, *args: object, deadline: Deadline | None = None
    ) -> Any:
        """A transaction in these orgs that is one call of a function, and so one round trip: `select <function>(...) as it`; its answer.

        Refused(Unavailable | DeadlineExceeded) when it may or may not have been written: it is not sent twice.
        """
        async with self.connections.use(deadline) as lease:
            try:
                found = await lease.fetch(in_orgs(sql, len(args) + 1), (*args, _array(org_ids)))
            except Refused as refusal:
                if is_outage(refusal):
                    self.connections.distrust(lease)
                raise
        return found[0][0] if found else None

    def snapshot(self, org_id: UUID, *, deadline: Deadline) -> Transaction:
        """A transaction that reads the rows of an org as they were at one moment, however many statements it takes.

        Between two of them it may wait, as for who reads what it has found, until its deadline.
        """
        idle_ms = max(1, int(deadline.remaining() * 1000))
        return Transaction(
            self,
            [org_id],
            "begin isolation level repeatable read read only; "
            f"set local idle_in_transaction_session_timeout = {idle_ms}; "
            f"select set_config('polis.orgs', '{{{_org(org_id)}}}', true)",
            deadline,
        )

    def across_orgs(self, *, deadline: Deadline | None = None) -> Transaction:
        """A transaction that sees every org's rows, under the role made for it."""
        return Transaction(self, (), f"begin; set local role {self.service}_system", deadline)


def checked_name(service: str) -> str:
    """A service's name as it may stand in a statement; ValueError for anything else."""
    if not _NAME.fullmatch(service):
        raise ValueError(f"not a name of a service: {service!r}")
    return service


def _array(org_ids: Sequence[UUID]) -> str:
    return f"{{{','.join(str(_org(org_id)) for org_id in org_ids)}}}"


def _org(org_id: UUID) -> UUID:
    if not isinstance(org_id, UUID):
        raise TypeError(f"not an org id: {org_id!r}")
    return org_id
