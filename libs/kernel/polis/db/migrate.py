# ruff: noqa: S608 - the only names put into statements are checked ones
"""Migrations: numbered SQL files, applied once and in order, by the schema's owner, before the services start.

Each file runs in a transaction together with its record. A file ending in `.online.sql` holds statements that cannot
(`create index concurrently if not exists`), each ended by a semicolon at the end of a line; it runs again from its start
after an interruption. What was applied is kept with its checksum: an applied file that has changed stops everything.

The owner is bound by row-level security like all others: a migration that changes rows of tenants does so between
`set local role <service>_system` and `set local role <service>_owner`.
"""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import asyncpg
from msgspec import Struct

from polis.db.database import Database, checked_name
from polis.db.provision import MIGRATOR, provision
from polis.db.session import alone, session

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from importlib.resources.abc import Traversable
    from pathlib import Path

__all__ = [
    "MIGRATOR",
    "Migration",
    "MigrationRefused",
    "check_schema",
    "migrate",
    "migrations_of",
    "provision",
]

_FILE = re.compile(r"(\d{4})_[a-z0-9_]+(\.online)?\.sql")
_KERNEL = "kernel/"
_ENDS_STATEMENT = re.compile(r";[ \t]*(?:\n|$)")


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


def migrations_of(service: str, folder: Path | None = None) -> list[Migration]:
    """The kernel's migrations for this service, then its own, in the order in which they are applied.

    folder: where its own lie, if not in its package.
    """
    service = checked_name(service)
    kernel = _read(files("polis.db") / "migrations", _KERNEL, service)
    return kernel + _read(folder or files(f"polis.{service}") / "migrations", "", service)


async def migrate(migrator_url: str, service: str, folder: Path | None = None) -> list[str]:
    """Apply what is missing; the names of what was applied. Of several at once one works and the others wait.

    MigrationRefused when an applied file has changed, or when the schema has what these files do not.
    """
    wanted = migrations_of(service, folder)
    async with (
        session(migrator_url, f"polis-migrate-{service}") as connection,
        alone(connection, f"polis migrate {service}"),
    ):
        try:
            await connection.execute(f"set role {service}_owner")
        except (asyncpg.InvalidParameterValueError, asyncpg.InsufficientPrivilegeError) as error:
            raise MigrationRefused(f"{service}: its schema is not provided yet: {error}") from error
        await connection.execute(
            f"""
            create table if not exists {service}.migrations (
                name text primary key, checksum text not null, applied_at timestamptz not null default now()
            );
            comment on table {service}.migrations is 'global: the history of the schema';
            grant select on {service}.migrations to app_{service};
            """
        )
        missing = _missing(
            service, wanted, await connection.fetch(f"select name, checksum from {service}.migrations")
        )
        for migration in missing:
            await _apply(connection, service, migration)
    return [m.name for m in missing]


async def check_schema(database: Database, service: str, folder: Path | None = None) -> None:
    """MigrationRefused unless the schema is exactly at the version of these files."""
    wanted = migrations_of(service, folder)
    async with database.connections.use() as lease:
        try:
            applied = await lease.fetch(f"select name, checksum from {checked_name(service)}.migrations")
        except asyncpg.UndefinedTableError:
            applied = []
    missing = _missing(service, wanted, applied)
    if missing:
        raise MigrationRefused(f"{service}: not migrated yet: {', '.join(m.name for m in missing)}")


def _read(folder: Traversable | Path, prefix: str, service: str) -> list[Migration]:
    """The files of a folder by their numbers. `:service` stands for the service's name in the kernel's."""
    found = sorted((f.name, f) for f in folder.iterdir() if f.name.endswith(".sql"))
    numbers: set[str] = set()
    for name, _ in found:
        match = _FILE.fullmatch(name)
        if match is None:
            raise MigrationRefused(f"{name} is not named NNNN_noun.sql")
        if match[1] in numbers:
            raise MigrationRefused(f"two migrations of {service} are number {match[1]}")
        numbers.add(match[1])
    return [
        Migration(
            prefix + name,
            f.read_text(encoding="utf-8").replace(":service", service),
            name.endswith(".online.sql"),
        )
        for name, f in found
    ]


def _missing(service: str, wanted: list[Migration], applied: Iterable[Mapping[str, str]]) -> list[Migration]:
    """What is to be applied yet: the last of the wanted ones, all others being applied as they are."""
    checksums = {row["name"]: row["checksum"] for row in applied}
    newer = sorted(checksums.keys() - {m.name for m in wanted})
    if newer:
        raise MigrationRefused(f"{service}: the schema is newer than this release: it has {', '.join(newer)}")
    for migration in wanted:
        if checksums.get(migration.name, migration.checksum) != migration.checksum:
            raise MigrationRefused(f"{service}: {migration.name} was changed after it had been applied")
    missing = [m for m in wanted if m.name not in checksums]
    for prefix in (True, False):
        mine = [m for m in wanted if m.name.startswith(_KERNEL) is prefix]
        late = [
            m.name for m in missing if m in mine and any(n.name in checksums for n in mine[mine.index(m) :])
        ]
        if late:
            raise MigrationRefused(f"{service}: {', '.join(late)} comes before what is applied already")
    return missing


async def _apply(connection: Any, service: str, migration: Migration) -> None:
    record = f"insert into {service}.migrations (name, checksum) values ($1, $2)"
    if migration.online:
        await _drop_half_built_indexes(connection, service)
        for statement in _statements(migration.sql):
            await connection.execute(statement)
        await connection.execute(record, migration.name, migration.checksum)
        return
    async with connection.transaction():
        await connection.execute(migration.sql)
        await connection.execute(record, migration.name, migration.checksum)


def _statements(sql: str) -> list[str]:
    return [part for part in (p.strip() for p in _ENDS_STATEMENT.split(sql)) if part]


async def _drop_half_built_indexes(connection: Any, service: str) -> None:
    """An interrupted `create index concurrently` leaves an index that `if not exists` would take for the real one."""
    broken = await connection.fetch(
        """
        select format('%I.%I', $1::text, c.relname) as name
        from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = $1 and not i.indisvalid and c.relkind = 'i'
        order by 1
        """,
        service,
    )
    for row in broken:
        await connection.execute(f"drop index concurrently if exists {row['name']}")
