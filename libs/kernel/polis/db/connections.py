"""A plain list of connections: opened when needed, replaced when broken, waited for in bounded time.

A statement that overruns its deadline ends its connection, and so does one whose caller is cancelled: asking a frozen
server to cancel would wait for that server.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from contextlib import asynccontextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

import asyncpg
import msgspec

from polis.db.deadline import Deadline, Watch
from polis.db.errors import OUTAGE, is_outage, late, overloaded, translated, unavailable
from polis.proto import Refused
from polis.telemetry import Trace, current, log, spans

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

MAX_WAITING = 2_000
"""Callers that wait for a connection; the next one is refused."""
DEFAULT_DEADLINE_S = 10.0
"""For work that came without a deadline."""
PATIENCE_S = 2.0
"""How long an outage lasts before callers are refused at once."""
RECOVERY_PATIENCE_S = 6.0
"""The same while PostgreSQL says that it is starting, as after the crash of one of its backends."""
OPEN_S = 10.0
"""How long a starting process waits for a database that is starting too."""
_CONNECT_TIMEOUT_S = 3.0
_RECONNECT_S = (0.05, 0.1, 0.2, 0.5)
_SETTINGS = {
    "statement_timeout": "30s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "15s",
    "client_connection_check_interval": "1s",  # a statement whose caller has left ends too
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "20s",
    "search_path": "extensions",  # tables are named with their schema; only operators of extensions need a path
    "jit": "off",
    # A plan is made while a table is new and small, where reading all of it is the cheapest, and kept while it grows.
    "enable_seqscan": "off",
}

_SPAN_TEXT = 2_000
"""Characters of a statement that a span keeps; parameters are never in it."""


class Lease:
    """A connection in one caller's hands, with the caller's deadline over everything that is done with it."""

    __slots__ = ("connection", "deadline", "generation", "overran")

    def __init__(self, connection: Any, generation: int = 0) -> None:
        self.connection = connection
        self.generation = generation
        self.deadline = _NEVER
        self.overran = False

    async def fetch(self, sql: str, args: Sequence[object] = ()) -> list[Any]:
        """The rows of one statement. Refused, ConstraintViolation, or the error as it is when that is a defect."""
        here = current()
        if here is not None and spans.recording(here):
            return await self._traced(sql, args, here)
        return await self._fetch(sql, args)

    async def _traced(self, sql: str, args: Sequence[object], here: Trace) -> list[Any]:
        started = monotonic()
        try:
            return await self._fetch(sql, args)
        finally:
            attributes = {"db.system.name": "postgresql", "db.query.text": " ".join(sql.split())[:_SPAN_TEXT]}
            spans.record(
                "postgresql",
                here.child(),
                kind="client",
                seconds=monotonic() - started,
                attributes=attributes,
            )

    async def _fetch(self, sql: str, args: Sequence[object]) -> list[Any]:
        try:
            rows: list[Any] = await self.connection.fetch(sql, *args)
        except asyncio.CancelledError:
            self.connection.terminate()
            raise
        except Exception as error:
            raise self._meaning(error) from error
        return rows

    async def execute(self, sql: str, args: Sequence[object] = ()) -> str:
        """The tag of one statement (`UPDATE 3`); without arguments, of the last of several."""
        try:
            tag: str = await self.connection.execute(sql, *args)
        except asyncio.CancelledError:
            self.connection.terminate()
            raise
        except Exception as error:
            raise self._meaning(error) from error
        return tag

    def overdue(self) -> None:
        self.overran = True
        self.connection.terminate()

    def _meaning(self, error: Exception) -> Exception:
        if self.overran:
            return late()
        if isinstance(error, asyncpg.InternalClientError):
            # The driver's state is in disorder, as when the server ended the session while nothing was asked.
            self.connection.terminate()
            return unavailable(str(error))
        if isinstance(error, asyncpg.InterfaceError) and self.connection.is_closed():
            return unavailable(str(error))
        return translated(error)


_NEVER = Deadline(float("inf"))


class _Waiter:
    """A caller in the queue for a connection."""

    __slots__ = ("deadline", "turn")

    def __init__(self, deadline: Deadline) -> None:
        self.deadline = deadline
        self.turn: asyncio.Future[Lease] = asyncio.get_running_loop().create_future()

    def overdue(self) -> None:
        self.fail(late())

    def fail(self, refusal: Refused) -> None:
        if not self.turn.done():
            self.turn.set_exception(refusal)


class Connections:
    """At most `size` connections to one database. They are handed to callers in the order in which these came."""

    def __init__(self, url: str, *, size: int, name: str) -> None:
        self._url = url
        self._size = size
        self._name = name
        self._idle: list[Lease] = []
        self._waiting: deque[_Waiter] = deque()
        self._open = 0
        self._generation = 0
        self.watch = Watch()
        self._opener: asyncio.Task[None] | None = None
        self._down_since: float | None = None
        self._refusing = False
        self._closed = False

    @property
    def in_use(self) -> int:
        return self._open - len(self._idle)

    @property
    def open_count(self) -> int:
        return self._open

    async def open(self) -> None:
        """Open the first one, so that a wrong URL or password shows at once. Refused(Unavailable) after 10 s."""
        give_up = Deadline.after(OPEN_S)
        while True:
            try:
                self._idle.append(Lease(await connect(self._url, name=self._name)))
            except (*OUTAGE, TimeoutError) as error:
                if not give_up.remaining():
                    raise unavailable(str(error)) from error
                await asyncio.sleep(_RECONNECT_S[-1])
            else:
                self._open += 1
                return

    @asynccontextmanager
    async def use(self, deadline: Deadline | None = None) -> AsyncIterator[Lease]:
        """A connection for this caller alone. Refused(Unavailable | DeadlineExceeded | Overloaded) without one."""
        lease = await self.take(deadline)
        try:
            yield lease
        finally:
            self.give_back(lease)

    async def read(self, sql: str, args: Sequence[object], deadline: Deadline | None) -> list[Any]:
        """The rows of a statement that changes nothing, tried once more when its connection turns out to be broken."""
        lease = self._take_idle(deadline) or await self.take(deadline)
        try:
            return await lease.fetch(sql, args)
        except Refused as refusal:
            if not is_outage(refusal):
                raise
            self.distrust(lease)
        finally:
            self.give_back(lease)
        async with self.use(deadline) as another:
            return await another.fetch(sql, args)

    async def take(self, deadline: Deadline | None = None) -> Lease:
        """As `use`, to be given back by the caller, whatever happens."""
        if self._closed:
            raise unavailable("the database is closed")
        deadline = deadline or Deadline.after(DEFAULT_DEADLINE_S)
        idle = self._take_idle(deadline)
        if idle is not None:
            return idle
        if self._refusing:
            raise unavailable("no connection")
        if len(self._waiting) >= MAX_WAITING:
            raise overloaded("too many callers wait for a connection")
        return await self._wait(_Waiter(deadline))

    def give_back(self, lease: Lease) -> None:
        """End the use of a connection; one in doubtful state is closed and replaced when somebody waits."""
        self.watch.discard(lease)
        connection = lease.connection
        doubtful = (
            connection.is_closed() or connection.is_in_transaction() or lease.generation < self._generation
        )
        if doubtful or self._closed:
            connection.terminate()
            self._open -= 1
            self._open_if_wanted()
            return
        self._hand_on(lease)

    def distrust(self, broken: Lease) -> None:
        """Use none of the connections that are as old as a broken one: a restart or a network cut ends all of them."""
        if broken.generation == self._generation:
            self._generation += 1
            for lease in self._idle:
                lease.connection.terminate()

    async def close(self) -> None:
        """End every connection without asking the server: those in use as well, their callers are refused."""
        self._closed = True
        if self._opener is not None:
            self._opener.cancel()
            await asyncio.wait((self._opener,))
        for waiter in tuple(self._waiting):
            waiter.fail(unavailable("the database is closed"))
        in_use = [watched for watched in self.watch if isinstance(watched, Lease)]
        for lease in (*self._idle, *in_use):
            lease.connection.terminate()
        self._open -= len(self._idle)
        self._idle.clear()

    def _take_idle(self, deadline: Deadline | None) -> Lease | None:
        while self._idle:
            lease = self._idle.pop()
            if not lease.connection.is_closed():
                return self._lend(lease, deadline or Deadline.after(DEFAULT_DEADLINE_S))
            self._open -= 1
        return None

    def _lend(self, lease: Lease, deadline: Deadline) -> Lease:
        lease.deadline = deadline
        lease.overran = False
        self.watch.add(lease)
        return lease

    async def _wait(self, waiter: _Waiter) -> Lease:
        self._waiting.append(waiter)
        self.watch.add(waiter)
        self._open_if_wanted()
        try:
            return await waiter.turn
        except BaseException:
            self._leave(waiter)
            raise
        finally:
            self.watch.discard(waiter)

    def _leave(self, waiter: _Waiter) -> None:
        """Out of the queue; a connection that was handed over in the same moment goes to the next one."""
        if waiter in self._waiting:
            self._waiting.remove(waiter)
        turn = waiter.turn
        if turn.done() and not turn.cancelled() and turn.exception() is None:
            self.give_back(turn.result())

    def _hand_on(self, lease: Lease) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.turn.done():
                waiter.turn.set_result(self._lend(lease, waiter.deadline))
                return
        self._idle.append(lease)

    def _open_if_wanted(self) -> None:
        if self._opener is None and self._waiting and self._open < self._size and not self._closed:
            self._opener = asyncio.get_running_loop().create_task(
                self._open_more(), name="database connections"
            )
            self._opener.add_done_callback(self._opened)

    def _opened(self, _: asyncio.Task[None]) -> None:
        self._opener = None
        self._open_if_wanted()

    async def _open_more(self) -> None:
        """Open one connection after another while callers wait; in an outage, try until the database is back."""
        attempt = 0
        while self._down_since is not None or (self._waiting and self._open < self._size):
            try:
                lease = Lease(await connect(self._url, name=self._name), self._generation)
            except Exception as error:  # noqa: BLE001 - whatever it was, callers are told of it and it is tried again
                self._failed(error)
                wait = _RECONNECT_S[min(attempt, len(_RECONNECT_S) - 1)]
                attempt += 1
                await asyncio.sleep(wait * random.uniform(0.7, 1.3))  # noqa: S311 - jitter
                continue
            self._recovered()
            self._open += 1
            self._hand_on(lease)

    def _failed(self, error: Exception) -> None:
        if self._down_since is None:
            self._down_since = asyncio.get_running_loop().time()
            log.warning("postgresql.unreachable", error=str(error) or type(error).__name__)
        starting = isinstance(error, asyncpg.CannotConnectNowError)
        if self._down_for() > (RECOVERY_PATIENCE_S if starting else PATIENCE_S):
            self._refusing = True
            for waiter in tuple(self._waiting):
                waiter.fail(unavailable(str(error)))

    def _recovered(self) -> None:
        if self._down_since is not None:
            log.info("postgresql.reachable", after_s=round(self._down_for(), 3))
            self._down_since = None
            self._refusing = False

    def _down_for(self) -> float:
        return 0.0 if self._down_since is None else asyncio.get_running_loop().time() - self._down_since


async def connect(url: str, *, name: str) -> Any:
    """One connection as the mesh uses them: bounded statements and locks, JSON as objects. OUTAGE or TimeoutError."""
    async with asyncio.timeout(_CONNECT_TIMEOUT_S):
        connection = await asyncpg.connect(url, server_settings={"application_name": name, **_SETTINGS})
        try:
            await connection.set_type_codec(
                "jsonb", schema="pg_catalog", format="binary", encoder=_encode_jsonb, decoder=_decode_jsonb
            )
            await connection.set_type_codec(
                "json", schema="pg_catalog", format="binary", encoder=_encode_json, decoder=_decode_json
            )
        except BaseException:
            connection.terminate()
            raise
    return connection


_JSONB_VERSION = b"\x01"
_encode_json = msgspec.json.Encoder().encode
_decode_json = msgspec.json.Decoder().decode


def _encode_jsonb(value: object) -> bytes:
    return _JSONB_VERSION + _encode_json(value)


def _decode_jsonb(value: bytes) -> object:
    return _decode_json(memoryview(value)[1:])
