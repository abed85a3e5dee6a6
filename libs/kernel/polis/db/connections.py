"""A plain list of connections. A query that overruns its deadline ends its connection: cancelling waits for a frozen server."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg
import msgspec

from polis.db.deadline import Deadline
from polis.db.errors import CONNECTION_TROUBLE, UniqueViolation, late, overloaded, problem_for, unavailable
from polis.proto import Refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

T = TypeVar("T")

MAX_WAITING = 2_000
"""Callers that wait for a connection; the next one is refused."""
DEFAULT_DEADLINE_S = 10.0
_CONNECT_TIMEOUT_S = 3.0
_STATEMENT_TIMEOUT_MS = 30_000
_IDLE_IN_TRANSACTION_MS = 15_000
_LOCK_TIMEOUT_MS = 10_000


class Connections:
    """At most `size` connections to one database, opened when they are needed, replaced when they break."""

    def __init__(self, url: str, *, size: int, name: str) -> None:
        self._url = url
        self._size = size
        self._name = name
        self._idle: list[asyncpg.Connection] = []
        self._open = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._closed = False

    async def open(self) -> None:
        """Open the first one, so that a wrong URL or password shows at once."""
        async with self.use(Deadline.after(_CONNECT_TIMEOUT_S)):
            pass

    @property
    def in_use(self) -> int:
        return self._open - len(self._idle)

    @asynccontextmanager
    async def use(self, deadline: Deadline | None = None) -> AsyncIterator[Lease]:
        """A connection for this caller alone. Refused(Unavailable | DeadlineExceeded | Overloaded) without one.

        Database errors raised inside leave as the problems they mean; a cancelled or overrun query ends its connection.
        """
        deadline = deadline or Deadline.after(DEFAULT_DEADLINE_S)
        lease = Lease(await self._take(deadline), deadline)
        try:
            yield lease
        except asyncio.CancelledError:
            lease.connection.terminate()
            raise
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            problem = problem_for(error)
            if problem is None:
                raise
            raise (late() if lease.overrun else Refused(problem, str(error))) from error
        finally:
            self._give_back(lease.connection)

    async def _take(self, deadline: Deadline) -> asyncpg.Connection:
        while True:
            while self._idle:
                connection = self._idle.pop()
                if not connection.is_closed():
                    return connection
                self._open -= 1
            if self._open < self._size:
                return await self._connect(deadline)
            await self._wait(deadline)

    async def _connect(self, deadline: Deadline) -> asyncpg.Connection:
        self._open += 1
        try:
            async with asyncio.timeout(min(_CONNECT_TIMEOUT_S, deadline.remaining())):
                return await connect(self._url, name=self._name)
        except BaseException as error:
            self._open -= 1
            self._wake()
            if isinstance(error, (*CONNECTION_TROUBLE, TimeoutError)):
                raise unavailable(str(error) or "no connection in time") from error
            raise

    async def _wait(self, deadline: Deadline) -> None:
        if len(self._waiting) >= MAX_WAITING:
            raise overloaded()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(deadline.remaining()):
                await turn
        except TimeoutError:
            raise late() from None
        finally:
            if turn in self._waiting:
                self._waiting.remove(turn)

    def _give_back(self, connection: asyncpg.Connection) -> None:
        if self._closed or connection.is_closed() or connection.is_in_transaction():
            connection.terminate()
            self._open -= 1
        else:
            self._idle.append(connection)
        self._wake()

    def _wake(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    async def close(self) -> None:
        """End every idle connection, politely for a second; those in use end when they are given back."""
        self._closed = True
        idle, self._idle = self._idle, []
        self._open -= len(idle)
        for connection in idle:
            try:
                await connection.close(timeout=1.0)
            except (*CONNECTION_TROUBLE, TimeoutError):
                connection.terminate()


class Lease:
    """A connection in use, with the caller's deadline over every statement."""

    __slots__ = ("connection", "deadline", "overrun")

    def __init__(self, connection: asyncpg.Connection, deadline: Deadline) -> None:
        self.connection = connection
        self.deadline = deadline
        self.overrun = False

    async def fetch(self, sql: str, *args: object) -> list[asyncpg.Record]:
        rows: list[asyncpg.Record] = await self._bounded(self.connection.fetch(sql, *args))
        return rows

    async def execute(self, sql: str, *args: object) -> str:
        tag: str = await self._bounded(self.connection.execute(sql, *args))
        return tag

    async def _bounded(self, statement: Coroutine[Any, Any, T]) -> T:
        loop = asyncio.get_running_loop()
        alarm = loop.call_at(self.deadline.at, self._overrun)
        try:
            return await statement
        except asyncpg.UniqueViolationError as violation:
            raise UniqueViolation(violation.constraint_name or "") from violation
        finally:
            alarm.cancel()

    def _overrun(self) -> None:
        self.overrun = True
        self.connection.terminate()


async def connect(url: str, *, name: str) -> asyncpg.Connection:
    """One connection as the mesh uses them: bounded statements and locks, JSON as objects."""
    connection = await asyncpg.connect(
        url,
        server_settings={
            "application_name": name,
            "statement_timeout": str(_STATEMENT_TIMEOUT_MS),
            "lock_timeout": str(_LOCK_TIMEOUT_MS),
            "idle_in_transaction_session_timeout": str(_IDLE_IN_TRANSACTION_MS),
            "tcp_keepalives_idle": "10",
            "tcp_keepalives_interval": "5",
            "tcp_keepalives_count": "3",
        },
    )
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(
            kind,
            schema="pg_catalog",
            encoder=lambda value: msgspec.json.encode(value).decode(),
            decoder=msgspec.json.decode,
        )
    return connection
