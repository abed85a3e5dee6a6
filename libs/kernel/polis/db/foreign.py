"""One statement on somebody else's PostgreSQL: by its parameters, read-only unless it is said otherwise, bounded in time and rows."""

from __future__ import annotations

import asyncio
import base64
import math
import ssl
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, cast
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import UUID

import asyncpg
import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from asyncpg import Connection

MAX_CHARS = 700_000
"""Characters of all values of a result, together."""
MAX_BYTES = 16 * 1024 * 1024
"""Bytes that a server may send for one statement: a value is whole in memory before anybody can look at it."""
_CONNECT_S = 10.0
_GRACE_S = 5.0
_EXACT = 2**53
_AT_ONCE = 50
_TLS = ("disable", "require", "verify-full")


Row = dict[str, object]


class Failed(Exception):
    """Why there is no result; `kind` is for programs. `again`: the same may work later."""

    def __init__(self, kind: str, text: str, *, again: bool = False) -> None:
        super().__init__(text)
        self.kind = kind
        self.again = again


class Server(Struct, frozen=True):
    """Where a database is, and who asks. Its repr hides the password."""

    host: str
    port: int
    database: str
    user: str
    password: str
    tls: str

    def __repr__(self) -> str:
        return f"Server({self.host}:{self.port}/{self.database}, hidden)"


class Statement(Struct, frozen=True):
    """What is asked, and its bounds."""

    sql: str
    parameters: tuple[object, ...] = ()
    writes: bool = False
    max_rows: int = 1_000
    timeout_s: float = 30.0


def server(dsn: str) -> Server:
    """The parts of `postgresql://user:password@host:5432/database?sslmode=verify-full`. Failed without repeating it."""
    try:
        parts = urlsplit(dsn)
        port = parts.port or 5432
        options = parse_qs(parts.query, strict_parsing=bool(parts.query))
    except ValueError:
        raise Failed("sql.dsn", "the secret is no URL of a PostgreSQL database") from None
    tls = options.pop("sslmode", ["require"])[-1]
    if parts.scheme not in ("postgresql", "postgres") or not parts.hostname or not parts.username:
        raise Failed("sql.dsn", "the secret is no URL of a PostgreSQL database, with a host and a user")
    if options or tls not in _TLS:
        raise Failed("sql.dsn", f"of its options only sslmode is known: {', '.join(_TLS)}")
    database = unquote(parts.path.removeprefix("/")) or unquote(parts.username)
    user, password = unquote(parts.username), unquote(parts.password or "")
    return Server(parts.hostname, port, database, user, password, tls)


async def ask(where: Server, address: str, statement: Statement) -> list[Row]:
    """The rows of one statement, in a transaction of its own. `address`: what the host has been found to be."""
    try:
        async with asyncio.timeout(statement.timeout_s + _CONNECT_S + _GRACE_S):
            connection = await _connect(where, address, statement)
            try:
                return await _bounded(connection, statement)
            finally:
                connection.terminate()
    except TimeoutError:
        raise Failed("sql.timeout", f"no result within {statement.timeout_s:g} s", again=True) from None
    except asyncpg.QueryCanceledError:
        raise Failed("sql.timeout", f"no result within {statement.timeout_s:g} s") from None
    except (asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError, OSError):
        raise Failed("sql.connect", "the database cannot be reached", again=True) from None
    except (
        asyncpg.SerializationError,
        asyncpg.DeadlockDetectedError,
        asyncpg.TooManyConnectionsError,
    ) as error:
        raise Failed("sql.busy", _said(error), again=True) from None
    except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError):
        raise Failed("sql.refused", "the database does not let this user in") from None
    except asyncpg.ReadOnlySQLTransactionError:
        raise Failed("sql.read_only", "the statement writes, and the node does not (`writes`)") from None
    except asyncpg.PostgresError as error:
        raise Failed("sql.failed", f"{error.sqlstate}: {_said(error)}") from None
    except (asyncpg.InterfaceError, ValueError, TypeError) as error:
        raise Failed("sql.invalid", _said(error)) from None


async def _bounded(connection: Connection, statement: Statement) -> list[Row]:
    line = _Line(connection._transport)  # noqa: SLF001 - what comes in is seen nowhere else
    try:
        return await _result(connection, statement)
    except (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError):
        if line.left < 0:
            raise Failed("sql.too_large", f"the server sends more than {MAX_BYTES:,} bytes") from None
        raise


class _Line(asyncio.Protocol):
    """Stands in front of the driver and hangs up on a server that sends too much."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.left = MAX_BYTES
        self._transport = transport
        self._driver = cast("asyncio.Protocol", transport.get_protocol())
        self.connection_lost = self._driver.connection_lost  # type: ignore[method-assign] # the driver's own
        self.eof_received = self._driver.eof_received  # type: ignore[method-assign]
        self.pause_writing = self._driver.pause_writing  # type: ignore[method-assign]
        self.resume_writing = self._driver.resume_writing  # type: ignore[method-assign]
        transport.set_protocol(self)

    def data_received(self, data: bytes) -> None:
        self.left -= len(data)
        if self.left < 0:
            self._transport.abort()
        else:
            self._driver.data_received(data)


async def _connect(where: Server, address: str, statement: Statement) -> Connection:
    milliseconds = str(max(1, int(statement.timeout_s * 1000)))
    settings = {
        "application_name": "polis",
        "statement_timeout": milliseconds,
        "lock_timeout": milliseconds,
        "idle_in_transaction_session_timeout": milliseconds,
        "default_transaction_read_only": "off" if statement.writes else "on",
    }
    return await asyncpg.connect(
        host=address,
        port=where.port,
        user=where.user,
        # Never empty: without one it would be looked for in the environment and in files of this host.
        password=where.password or " ",
        database=where.database,
        ssl=_tls(where),
        timeout=_CONNECT_S,
        # The server ends it; this is for a server that does not answer any more.
        command_timeout=statement.timeout_s + _GRACE_S,
        statement_cache_size=0,
        server_settings=settings,
    )


async def _result(connection: Connection, statement: Statement) -> list[Row]:
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(
            kind, schema="pg_catalog", encoder=_text, decoder=msgspec.json.decode, format="text"
        )
    async with connection.transaction(readonly=not statement.writes):
        prepared = await connection.prepare(statement.sql)
        cursor = await prepared.cursor(*statement.parameters)
        plain, rows = _Plain(), list[Row]()
        # Few at a time: what is too much is seen before all of it is here.
        while found := await cursor.fetch(_AT_ONCE):
            rows += plain.rows(found)
            if len(rows) > statement.max_rows:
                raise Failed("sql.too_many", f"more than {statement.max_rows:,} rows (max_rows)")
    return rows


def _tls(where: Server) -> ssl.SSLContext | bool:
    if where.tls == "disable":
        return False
    context = _Named(ssl.PROTOCOL_TLS_CLIENT)
    context.name = where.host
    if where.tls == "require":
        # Covered, but by whom is not asked: what `require` says everywhere.
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    else:
        context.load_default_certs()
    return context


class _Named(ssl.SSLContext):
    """Asks for a certificate of the name, although it is an address that is connected to."""

    name = ""

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: FBT001, FBT002 - its base's own
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        del server_hostname
        return super().wrap_bio(incoming, outgoing, server_side, self.name, session)


class _Plain:
    """Values of PostgreSQL as JSON has them, with a budget."""

    def __init__(self) -> None:
        self._left = MAX_CHARS

    def rows(self, found: Sequence[Mapping[str, object]]) -> list[Row]:
        return [{name: self._value(value) for name, value in row.items()} for row in found]

    def _value(self, value: object) -> object:
        plain = self._plain(value)
        self._left -= len(plain) if isinstance(plain, str) else 8
        if self._left < 0:
            raise Failed("sql.too_large", f"the rows hold more than {MAX_CHARS:,} characters")
        return plain

    def _plain(self, value: object) -> object:  # noqa: PLR0911 - one for each type
        match value:
            case None | bool() | str():
                return value
            case int():
                return value if abs(value) < _EXACT else str(value)
            case float():
                return value if math.isfinite(value) else None
            case Decimal() | UUID():
                return str(value)
            case datetime() | date() | time():
                return value.isoformat()
            case timedelta():
                return value.total_seconds()
            case bytes():
                return base64.b64encode(value).decode()
            case list() | tuple():
                return [self._value(item) for item in value]
            case dict():
                return {str(key): self._value(item) for key, item in value.items()}
        return str(value)


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _said(error: Exception) -> str:
    return str(error).splitlines()[0][:300] if str(error) else type(error).__name__
