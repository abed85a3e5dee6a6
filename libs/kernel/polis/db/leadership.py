"""One leader among replicas: a session's advisory lock, held by a connection of its own for as long as that lives.

What the leader states on that connection, it states while it leads: with the connection the lock goes, and with it the
statement.
"""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from polis.db.connections import DEFAULT_DEADLINE_S, Lease, connect
from polis.db.deadline import Deadline
from polis.db.errors import OUTAGE, unavailable
from polis.db.rows import to_row, to_rows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from polis.db.database import Database

T = TypeVar("T")

POLL_S = 0.5
"""How often a replica asks whether the lead is free; it would be waited for with a snapshot that vacuum waits for."""


class Lead:
    """The lead, and the connection that holds it: under the system role, each statement a transaction of its own.

    One task at a time may use it. A statement that is late, or whose caller is cancelled, ends it.
    """

    __slots__ = ("_deadline", "_lease", "_watch", "service")

    def __init__(self, database: Database, connection: Any) -> None:
        self.service = database.service
        self._watch = database.connections.watch
        self._lease = Lease(connection)
        self._deadline: Deadline | None = None

    def __call__(self) -> bool:
        """Whether it still leads, as far as this process knows."""
        return not self._lease.connection.is_closed()

    async def fetch(self, sql: str, *args: object) -> Sequence[Any]:
        """The rows as the driver makes them."""
        self._lease.deadline = self._deadline or Deadline.after(DEFAULT_DEADLINE_S)
        self._watch.add(self._lease)
        try:
            return await self._lease.fetch(sql, args)
        finally:
            self._watch.discard(self._lease)

    async def rows(self, kind: type[T], sql: str, *args: object) -> list[T]:
        """Every row as `kind`: a Struct with fields named like the columns, or the type of a single column."""
        return to_rows(kind, await self.fetch(sql, *args))

    async def row(self, kind: type[T], sql: str, *args: object) -> T | None:
        """The first row; None without one."""
        return to_row(kind, await self.fetch(sql, *args))

    async def value(self, sql: str, *args: object) -> Any:
        """The first column of the first row; None without a row."""
        found = await self.fetch(sql, *args)
        return found[0][0] if found else None

    @asynccontextmanager
    async def transaction(self, *, within_s: float) -> AsyncIterator[None]:
        """What is stated in the block holds as a whole. A block that fails ends the lead, which undoes it."""
        self._deadline = Deadline.after(within_s)
        try:
            await self.fetch("begin")
            await self.fetch(f"set local statement_timeout = {int(within_s * 1000)}")
            yield
            await self.fetch("commit")
        except BaseException:
            self._lease.connection.terminate()
            raise
        finally:
            self._deadline = None


@asynccontextmanager
async def lead(database: Database, what: str) -> AsyncIterator[Lead]:
    """Wait to lead, then lead while the answer to the call is true. Refused(Unavailable) without a connection.

    The lead may pass to another before this process notices: what it writes elsewhere must be fenced besides.
    """
    try:
        connection = await connect(database.url, name=f"polis-{database.service}-{what}")
    except (*OUTAGE, TimeoutError) as error:
        raise unavailable(str(error)) from error
    held = Lead(database, connection)
    number = lock_number(f"polis {database.service} {what}")
    try:
        while not await held.value("select pg_try_advisory_lock($1)", number):  # noqa: ASYNC110 - another process holds it
            await asyncio.sleep(POLL_S)
        # For the session: no other work ever gets this connection.
        await held.fetch(f"set role {database.service}_system")
        yield held
    finally:
        connection.terminate()


def lock_number(name: str) -> int:
    """The number of a named advisory lock."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
