# ruff: noqa: S608 - the only names put into statements are checked ones
"""Roles, schemas and migrations. Run before the services start, never by their replicas.

A migration is a numbered SQL file, applied once, in a transaction, by the schema's owner; `.online.sql` files run outside
of one. What was applied is recorded with its checksum: an applied file that has changed stops everything.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import asyncpg
from msgspec import Struct

from polis.db.database import Database, checked_name

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from importlib.resources.abc import Traversable

MIGRATOR = "polis_migrator"
_FILE = re.compile(r"(\d{4})_[a-z0-9_]+(\.online)?\.sql")
_KERNEL = "kernel/"


class MigrationRefused(Exception):
    """The schema is not what the files say; the message tells which and why."""


class Migration(Struct, frozen=True):
    """One file. `name` tells it apart; kernel files come before a service's own."""

    name: str
    sql: str
    online: bool

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations_of(service: str) -> list[Migration]:
    """The kernel's migrations for this service, then its own, in the order in which they are applied."""
    service = checked_name(service)
    kernel = _read(files("polis.db").joinpath("migrations"), _KERNEL, service)
    return kernel + _read(files(f"polis.{service}").joinpath("migrations"), "", service)


def _read(folder: Traversable, prefix: str, service: str) -> list[Migration]:
    found = sorted((f.name, f) for f in folder.iterdir() if f.name.endswith(".sql"))
    for name, _ in found:
        if not _FILE.fullmatch(name):
            raise MigrationRefused(f"{name} is not named NNNN_noun.sql")
    return [
        Migration(
            prefix + name,
            f.read_text(encoding="utf-8").replace(":service", service),
            name.endswith(".online.sql"),
        )
        for name, f in found
    ]


async def provision(admin_url: str, services: Sequence[str], passwords: Mapping[str, str]) -> None:
    """Make or refresh roles, schemas and extensions. `passwords` by role: `polis_migrator` and `app_<service>`."""
    async with _connection(admin_url) as admin, _locked(admin):
        await _login_role(admin, MIGRATOR, passwords[MIGRATOR])
        database = await admin.fetchval("select quote_ident(current_database())")
        await admin.execute(
            f"revoke all on database {database} from public; revoke create on schema public from public"
        )
        await admin.execute(f"grant connect on database {database} to {MIGRATOR}")
        await admin.execute(
            "create schema if not exists extensions; grant usage on schema extensions to public"
        )
        if await admin.fetchval("select count(*) from pg_available_extensions where name = 'vector'"):
            await admin.execute("create extension if not exists vector with schema extensions")
        for service in map(checked_name, services):
            await _provision_service(admin, database, service, passwords[f"app_{service}"])


async def _provision_service(admin: asyncpg.Connection, database: str, service: str, password: str) -> None:
    for role in (f"{service}_owner", f"{service}_system"):
        await _role(admin, role)
    app = f"app_{service}"
    await _login_role(admin, app, password)
    await admin.execute(
        f"grant {service}_owner to {MIGRATOR} with inherit false, set true; "
        f"grant {service}_system to {app} with inherit false, set true; "
        f"grant connect on database {database} to {app}; "
        f"create schema if not exists {service}; alter schema {service} owner to {service}_owner; "
        f"grant usage on schema {service} to {app}, {service}_system"
    )


async def _role(admin: asyncpg.Connection, role: str) -> None:
    if not await admin.fetchval("select 1 from pg_roles where rolname = $1", role):
        await admin.execute(f"create role {role} nologin nosuperuser nobypassrls")


async def _login_role(admin: asyncpg.Connection, role: str, password: str) -> None:
    await _role(admin, role)
    quoted = await admin.fetchval("select quote_literal($1::text)", password)
    await admin.execute(
        f"alter role {role} login nosuperuser nobypassrls nocreatedb nocreaterole password {quoted}"
    )


async def migrate(migrator_url: str, service: str) -> list[str]:
    """Apply what is missing, as the schema's owner; the names of what was applied. Several may run at once: one works."""
    service = checked_name(service)
    wanted = migrations_of(service)
    async with _connection(migrator_url) as connection, _locked(connection):
        await connection.execute(f"set role {service}_owner")
        await connection.execute(
            f"create table if not exists {service}.migrations "
            "(name text primary key, checksum text not null, applied_at timestamptz not null default now()); "
            f"comment on table {service}.migrations is 'global: the history of the schema'; "
            f"grant select on {service}.migrations to app_{service}"
        )
        applied = await _applied(connection, service)
        _compare(service, wanted, applied)
        missing = [m for m in wanted if m.name not in applied]
        for migration in missing:
            await _apply(connection, service, migration)
    return [m.name for m in missing]


async def check_schema(database: Database, service: str) -> None:
    """MigrationRefused unless the schema is exactly at the version of these files."""
    wanted = migrations_of(service)
    async with database.connections.use() as lease:
        rows = await lease.fetch(f"select name, checksum from {checked_name(service)}.migrations")
    applied = {row["name"]: row["checksum"] for row in rows}
    _compare(service, wanted, applied)
    missing = [m.name for m in wanted if m.name not in applied]
    if missing:
        raise MigrationRefused(f"{service}: not migrated yet: {', '.join(missing)}")


def _compare(service: str, wanted: list[Migration], applied: Mapping[str, str]) -> None:
    by_name = {m.name: m for m in wanted}
    for name, checksum in applied.items():
        if name not in by_name:
            raise MigrationRefused(f"{service}: the schema is newer than this release: it has {name}")
        if by_name[name].checksum != checksum:
            raise MigrationRefused(f"{service}: {name} was changed after it had been applied")


async def _applied(connection: asyncpg.Connection, service: str) -> dict[str, str]:
    rows = await connection.fetch(f"select name, checksum from {service}.migrations")
    return {row["name"]: row["checksum"] for row in rows}


async def _apply(connection: asyncpg.Connection, service: str, migration: Migration) -> None:
    record = f"insert into {service}.migrations (name, checksum) values ($1, $2)"
    if migration.online:
        await connection.execute(migration.sql)
        await connection.execute(record, migration.name, migration.checksum)
        return
    async with connection.transaction():
        await connection.execute(migration.sql)
        await connection.execute(record, migration.name, migration.checksum)


@asynccontextmanager
async def _connection(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        yield connection
    finally:
        await connection.close(timeout=5)


@asynccontextmanager
async def _locked(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """One migrator at a time; the lock ends with the connection, whatever happens to this process."""
    await connection.execute("select pg_advisory_lock(hashtext('polis migrations'), 0)")
    try:
        yield
    finally:
        if not connection.is_closed():
            await connection.execute("reset role; select pg_advisory_unlock(hashtext('polis migrations'), 0)")
