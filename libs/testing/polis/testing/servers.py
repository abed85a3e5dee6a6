"""The real servers behind the tests: one PostgreSQL a session with a migrated template, a nats-server for each stage.

Which ones: POLIS_TEST_POSTGRES_URL and POLIS_TEST_NATS_URL, else the embedded wheels, or containers with
POLIS_TEST_BACKEND=containers.
"""

from __future__ import annotations

import os
import secrets
import socket
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from polis.bus.admin import declare
from polis.bus.config import SYSTEM
from polis.bus.permissions import ADMIN
from polis.db.databases import clone_database, create_database, drop_database
from polis.db.migrate import migrate
from polis.db.provision import MIGRATOR, provision
from polis.local.mesh import owners
from polis.local.nats import Nats
from polis.local.postgres import Postgres
from polis.proto.registry import SERVICES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

_TEMPLATE = "polis_template"
_DOCKER = "/var/run/docker.sock"


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
        self.passwords = {role: secrets.token_hex(16) for role in (MIGRATOR, *(f"app_{n}" for n in owners()))}

    async def make_template(self) -> None:
        template = _with(self.url, database=_TEMPLATE)
        await drop_database(self.url, _TEMPLATE)
        await create_database(self.url, _TEMPLATE)
        await provision(template, owners(), self.passwords)
        migrator = _with(self.url, user=MIGRATOR, password=self.passwords[MIGRATOR], database=_TEMPLATE)
        for service in owners():
            await migrate(migrator, service)

    @asynccontextmanager
    async def database(self) -> AsyncIterator[Database]:
        database = Database(self.url, f"test_{secrets.token_hex(6)}", self.passwords)
        await clone_database(self.url, database.name, _TEMPLATE)
        try:
            yield database
        finally:
            if self.embedded is None or (self.embedded.process and self.embedded.process.poll() is None):
                await drop_database(self.url, database.name)


@asynccontextmanager
async def postgres_server(folder: Path | None = None) -> AsyncIterator[PostgresServer]:
    """A PostgreSQL with its template; a test that wants to kill one makes its own."""
    async with AsyncExitStack() as stack:
        given = os.environ.get("POLIS_TEST_POSTGRES_URL")  # noqa: TID251 - the test kit has no settings
        if given and folder is None:
            server = PostgresServer(given)
        elif _wants_containers() and folder is None:
            server = PostgresServer(stack.enter_context(_postgres_container()))
        else:
            root = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="polis-pg-")))
            root.chmod(0o711)
            embedded = Postgres(
                root / "data", password=secrets.token_hex(16), log=root / "log", settings={"fsync": "on"}
            )
            await embedded.start()
            stack.push_async_callback(embedded.stop)
            server = PostgresServer(embedded.url(database="postgres"), embedded)
        await server.make_template()
        yield server


class NatsServer:
    """A nats-server with the contract's users, streams and consumers. `passwords` is empty for one that has no users."""

    def __init__(self, url: str, passwords: dict[str, str], embedded: Nats | None = None) -> None:
        self.url = url
        self.passwords = passwords
        self.embedded = embedded


@asynccontextmanager
async def nats_server() -> AsyncIterator[NatsServer]:
    async with AsyncExitStack() as stack:
        given = os.environ.get("POLIS_TEST_NATS_URL")  # noqa: TID251 - the test kit has no settings
        if given:
            await declare(given, urlsplit(given).username or "", urlsplit(given).password or "")
            yield NatsServer(given, {})
            return
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="polis-nats-", ignore_cleanup_errors=True))
        )
        passwords = {n: secrets.token_hex(16) for n in (*(s.name for s in SERVICES), ADMIN, SYSTEM)}
        nats = Nats(folder, passwords=passwords, log=folder / "log")
        await nats.start()
        stack.push_async_callback(nats.stop)
        yield NatsServer(nats.url, passwords, nats)


def _wants_containers() -> bool:
    """Whether containers were asked for; an answer in the middle of a run beats a silent skip."""
    if os.environ.get("POLIS_TEST_BACKEND") != "containers":  # noqa: TID251 - the test kit has no settings
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(_DOCKER)
        except OSError as error:
            raise RuntimeError(
                f"POLIS_TEST_BACKEND=containers, and no Docker engine answers at {_DOCKER}: {error}"
            ) from None
    return True


@contextmanager
def _postgres_container() -> Iterator[str]:
    from testcontainers.postgres import PostgresContainer

    with PostgresContainer("pgvector/pgvector:pg18", driver=None) as container:
        yield container.get_connection_url()


def _with(url: str, *, database: str, user: str = "", password: str = "") -> str:
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    login = f"{user}:{password}" if user else parts.netloc.rpartition("@")[0]
    return urlunsplit(parts._replace(netloc=f"{login}@{place}", path=f"/{database}"))
