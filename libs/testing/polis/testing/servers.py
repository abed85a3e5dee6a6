"""The real servers behind the tests: one PostgreSQL a session with a migrated template, a nats-server for each stage.

Which ones: POLIS_TEST_POSTGRES_URL and POLIS_TEST_NATS_URL, else the embedded wheels, or containers with
POLIS_TEST_BACKEND=containers.
"""

from __future__ import annotations

import hmac
import os
import secrets
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import nats

from polis import db
from polis.bus.admin import declare, streams
from polis.bus.config import SYSTEM
from polis.bus.permissions import ADMIN
from polis.db.databases import clone_database, create_database, drop_database
from polis.db.migrate import migrate
from polis.db.provision import MIGRATOR, provision
from polis.db.session import session
from polis.local.mesh import owners
from polis.local.nats import Nats
from polis.local.postgres import Postgres
from polis.proto.registry import SERVICES
from polis.testing import containers
from polis.testing.places import quick_folder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


_IN_HASTE = {"fsync": "off", "full_page_writes": "off", "max_wal_size": "64MB"}
"""Nobody cuts the power of these servers, and memory may be where they lie."""


class Database:
    """A database of a test's own, with every service's schema in it."""

    def __init__(self, server_url: str, name: str, passwords: dict[str, str]) -> None:
        self.name = name
        self._server_url = server_url
        self._passwords = passwords

    @property
    def admin_url(self) -> str:
        return _with(self._server_url, database=self.name)

    def url(self, role: str) -> str:
        """As `app_<service>` or the migrator."""
        return _with(self._server_url, user=role, password=self._passwords[role], database=self.name)


class PostgresServer:
    """The session's PostgreSQL. Databases are copies of a template that was migrated once."""

    def __init__(self, server_url: str, embedded: Postgres | None = None) -> None:
        self.url = server_url
        self.embedded = embedded
        self.passwords = {role: _password(server_url, role) for role in _roles()}
        self._template = f"polis_template_{secrets.token_hex(4)}"

    async def make_template(self) -> None:
        template = _with(self.url, database=self._template)
        await create_database(self.url, self._template)
        await provision(template, owners(), self.passwords)
        migrator = _with(self.url, user=MIGRATOR, password=self.passwords[MIGRATOR], database=self._template)
        for service in owners():
            await migrate(migrator, service)
        await self._ship(template)

    async def _ship(self, template: str) -> None:
        """What the catalog writes at the first start of a mesh; of that nobody is told, for nobody is there yet."""
        catalog = import_module("polis.catalog.bootstrap")
        role = "app_catalog"
        url = _with(template, user=role, password=self.passwords[role], database=self._template)
        database = await db.Database.open(url, service="catalog", size=1)
        try:
            await catalog.bootstrap(database, catalog.shipped())
        finally:
            await database.close()
        async with session(template, "polis-setup") as admin:
            await admin.execute("truncate catalog.outbox")

    async def drop_template(self) -> None:
        """A server that outlives the session keeps nothing of it but the roles."""
        if self.embedded is None:
            await drop_database(self.url, self._template)

    @asynccontextmanager
    async def database(self) -> AsyncIterator[Database]:
        database = Database(self.url, f"test_{secrets.token_hex(6)}", self.passwords)
        await clone_database(self.url, database.name, self._template)
        try:
            yield database
        finally:
            if self.embedded is None or (self.embedded.process and self.embedded.process.poll() is None):
                await drop_database(self.url, database.name)


@asynccontextmanager
async def postgres_server(
    folder: Path | None = None, *, durable: bool = False
) -> AsyncIterator[PostgresServer]:
    """A PostgreSQL with its template; a test that wants to kill one makes its own, in a folder.

    durable: what it has committed outlives a power cut, not only its processes.
    """
    async with AsyncExitStack() as stack:
        given = os.environ.get("POLIS_TEST_POSTGRES_URL")  # noqa: TID251 - the test kit has no settings
        if given and folder is None:
            server = PostgresServer(given)
        elif folder is None and containers.wanted():
            server = PostgresServer(stack.enter_context(containers.postgres()))
        else:
            root = folder or stack.enter_context(quick_folder("polis-pg-"))
            settings = {} if durable else _IN_HASTE
            embedded = Postgres(
                root / "data", password=secrets.token_hex(16), log=root / "log", settings=settings
            )
            await embedded.start()
            stack.push_async_callback(embedded.stop)
            server = PostgresServer(embedded.url(database="postgres"), embedded)
        stack.push_async_callback(server.drop_template)
        await server.make_template()
        yield server


class NatsServer:
    """A nats-server with the contract's users, streams and consumers. `passwords` is empty for one that has no users."""

    def __init__(self, url: str, passwords: dict[str, str], embedded: Nats | None = None) -> None:
        self.url = url
        self.passwords = passwords
        self.embedded = embedded


@asynccontextmanager
async def nats_server(folder: Path | None = None) -> AsyncIterator[NatsServer]:
    """With empty streams. folder: of its store, where that matters."""
    given = os.environ.get("POLIS_TEST_NATS_URL")  # noqa: TID251 - the test kit has no settings
    passwords = {n: secrets.token_hex(16) for n in (*(s.name for s in SERVICES), ADMIN, SYSTEM)}
    with ExitStack() as stack:
        if given:
            await _declare_anew(given)
            yield NatsServer(given, {})
        elif containers.wanted():
            url = stack.enter_context(containers.nats(passwords))
            await declare(url, ADMIN, passwords[ADMIN])
            yield NatsServer(url, passwords)
        else:
            place = folder or stack.enter_context(quick_folder("polis-nats-"))
            embedded = Nats(place, passwords=passwords, log=place / "log")
            try:
                await embedded.start()
                yield NatsServer(embedded.url, passwords, embedded)
            finally:
                await embedded.stop()


async def _declare_anew(url: str) -> None:
    """The streams of a server that other sessions have used, without what they left in them."""
    parts = urlsplit(url)
    client = await nats.connect(servers=url.split(","), allow_reconnect=False)
    try:
        names = {info.config.name for info in await client.jetstream().streams_info()}
        for stream in streams():
            if stream.name in names:
                await client.jetstream().delete_stream(str(stream.name))
    finally:
        await client.close()
    await declare(url, parts.username or "", parts.password or "")


def _roles() -> tuple[str, ...]:
    return MIGRATOR, *(f"app_{name}" for name in owners())


def _password(server_url: str, role: str) -> str:
    """Roles belong to the whole server: sessions that share one have to give them the same passwords."""
    return hmac.digest(server_url.encode(), role.encode(), "sha256").hex()


def _with(url: str, *, database: str, user: str = "", password: str = "") -> str:
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    login = f"{user}:{password}" if user else parts.netloc.rpartition("@")[0]
    return urlunsplit(parts._replace(netloc=f"{login}@{place}", path=f"/{database}"))
