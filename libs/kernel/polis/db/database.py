"""One service's database: reads in an org, transactions in orgs, and the rare look across them."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Self
from uuid import UUID

from polis.db.connections import Connections, Lease
from polis.db.deadline import Deadline
from polis.db.tenant import Tenant
from polis.db.transaction import Transaction

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from contextlib import AbstractAsyncContextManager

_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")


class Database:
    """The connections of a process to the schema of its service, under the role `app_<service>`."""

    def __init__(self, connections: Connections, service: str, url: str) -> None:
        self.connections = connections
        self.service = checked_name(service)
        self.url = url
        self._on_emit: list[Callable[[], None]] = []

    @classmethod
    async def open(cls, url: str, *, service: str, size: int = 6, name: str = "") -> Self:
        """Refused(Unavailable) when PostgreSQL cannot be reached in a few seconds."""
        connections = Connections(url, size=size, name=name or f"polis-{service}")
        await connections.open()
        return cls(connections, service, url)

    async def close(self) -> None:
        await self.connections.close()

    async def ping(self, timeout_s: float) -> None:
        """Refused when PostgreSQL does not answer in time."""
        async with self.connections.use(Deadline.after(timeout_s)) as lease:
            await lease.fetch("select 1")

    def on_emit(self, callback: Callable[[], None]) -> None:
        """Call back whenever a transaction of this process has committed events."""
        self._on_emit.append(callback)

    def tenant(self, org_id: UUID, *, deadline: Deadline | None = None) -> Tenant:
        return Tenant(self, self.connections, org_id, deadline)

    def transaction(
        self, org_ids: Sequence[UUID], *, deadline: Deadline | None = None
    ) -> AbstractAsyncContextManager[Transaction]:
        """A transaction that sees the rows of these orgs. Its events wake the relay when it has committed."""
        orgs = ",".join(str(_uuid(org_id)) for org_id in org_ids)
        return self._transaction(
            f"begin; select set_config('polis.orgs', '{{{orgs}}}', true)", org_ids, deadline
        )

    def across_orgs(self, *, deadline: Deadline | None = None) -> AbstractAsyncContextManager[Transaction]:
        """A transaction that sees every org's rows, under the role made for it."""
        return self._transaction(f"begin; set local role {self.service}_system", (), deadline)

    @asynccontextmanager
    async def _transaction(
        self, begin: str, org_ids: Sequence[UUID], deadline: Deadline | None
    ) -> AsyncIterator[Transaction]:
        async with self.connections.use(deadline) as lease:
            await lease.execute(begin)
            tx = Transaction(lease, self.service, org_ids)
            try:
                yield tx
                emitted = await tx.flush_events()
            except BaseException:
                await _roll_back(lease)
                raise
            await lease.execute("commit")
        for callback in [*tx.committed, *(self._on_emit if emitted else ())]:
            callback()


async def _roll_back(lease: Lease) -> None:
    """Undo; a connection that cannot even do that is ended, which undoes as well."""
    if lease.connection.is_closed() or lease.deadline.remaining() == 0:
        lease.connection.terminate()
        return
    try:
        await lease.execute("rollback")
    except BaseException:
        lease.connection.terminate()
        raise


def checked_name(service: str) -> str:
    """A service's name as it may stand in a statement; ValueError for anything else."""
    if not _NAME.fullmatch(service):
        raise ValueError(f"not a name of a service: {service!r}")
    return service


def _uuid(value: UUID) -> UUID:
    if not isinstance(value, UUID):
        raise TypeError(f"not an org id: {value!r}")
    return value
