"""A real PostgreSQL for the tests of the database kernel, with the schema of a service made up for them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from polis.db import Database
from polis.db.migrate import migrate, provision
from polis.local.postgres import Postgres
from polis.testing.places import quick_folder

MIGRATIONS = Path(__file__).parent / "migrations"
PASSWORDS = {"polis_migrator": "m", "app_notebook": "a", "app_other": "o"}


@asynccontextmanager
async def notebooks():
    """A server with the schema of notebooks."""
    with quick_folder("polis-pg-") as folder:
        server = Postgres(folder / "data", password=uuid4().hex, log=folder / "log")
        await server.start()
        await provision(server.url(database="postgres"), ["notebook", "other"], PASSWORDS)
        await migrate(server.url("polis_migrator", "m", "postgres"), "notebook", MIGRATIONS)
        yield server
        await server.stop()


@pytest.fixture(scope="session")
async def server():
    async with notebooks() as server:
        yield server


@pytest.fixture
def url(server):
    """The URL of a role; of the administrator when none is named."""
    return lambda role=None: server.url(*(role, PASSWORDS[role]) if role else (), database="postgres")


@pytest.fixture
async def open_database(url):
    """Opens databases that are closed after the test."""
    opened = []

    async def open_database(**settings):
        opened.append(await Database.open(url("app_notebook"), service="notebook", **settings))
        return opened[-1]

    yield open_database
    for database in opened:
        await database.close()


@pytest.fixture
async def database(open_database):
    return await open_database()


@pytest.fixture
async def admin(url):
    """A connection that sees everything."""
    connection = await asyncpg.connect(url())
    yield connection
    await connection.close()


@pytest.fixture
def org():
    return uuid4()
