"""A catalog that has been in use is brought up to date with what it holds."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

import polis.catalog
from polis.db.databases import create_database, drop_database
from polis.db.migrate import migrate
from polis.db.provision import MIGRATOR, provision
from polis.local.mesh import owners
from polis.proto.identity import ROLE_SCOPES
from polis.testing.servers import Database

MIGRATIONS = Path(next(iter(polis.catalog.__path__))) / "migrations"


@pytest.fixture
async def early(postgres, tmp_path):
    """A database with the first two migrations."""
    server = postgres
    database = Database(server.url, f"upgrade_{uuid4().hex[:8]}", server.passwords)
    await create_database(server.url, database.name)
    await provision(database.admin_url, owners(), server.passwords)
    for name in ("0001_resources.sql", "0002_artifacts.sql"):
        shutil.copy(MIGRATIONS / name, tmp_path)
    await migrate(database.url(MIGRATOR), "catalog", tmp_path)
    yield database
    await drop_database(server.url, database.name)


async def test_what_was_there_is_there_with_status_words_and_shared_contents(early):
    org, active, draft = uuid4(), uuid4(), uuid4()
    digest = hashlib.sha256(b"{}").hexdigest()
    connection = await asyncpg.connect(early.admin_url)
    for key, resource, latest in (("mail-rule", active, 1), ("later", draft, None)):
        await connection.execute(
            """
            insert into catalog.resources (org_id, id, type, key, name, latest, created_by, created_at, updated_at)
            values ($1, $2, 'policy', $3, 'A rule', $4, $1, now(), now())
            """,
            org, resource, key, latest,
        )  # fmt: skip
    await connection.execute(
        "insert into catalog.versions values ($1, $2, 'org', 1, $3, '{}', '', $1, now())", org, active, digest
    )
    await connection.execute(
        """
        insert into catalog.activations (org_id, resource_id, environment, number, change, activated_by, activated_at)
        values ($1, $2, 'production', 1, 1, $1, now())
        """,
        org, active,
    )  # fmt: skip
    blobs = [uuid4() for _ in range(3)]
    for blob, content in zip(blobs, (b"same", b"same", b"other"), strict=True):
        await connection.execute(
            "insert into catalog.artifacts values ($1, $2, $2, 8, 'f', 'a/b', $3, $4, $1, now())",
            org, blob, len(content), hashlib.sha256(content).hexdigest(),
        )  # fmt: skip
        await connection.execute("insert into catalog.chunks values ($1, $2, 0, $3)", org, blob, content)

    await migrate(early.url(MIGRATOR), "catalog")

    scopes = await connection.fetchval("select scopes from catalog.activations")
    assert {"runtime:run", "catalog:read"} <= set(scopes) <= ROLE_SCOPES["member"]
    statuses = dict(await connection.fetch("select key, status from catalog.resources"))
    assert statuses == {"mail-rule": "published", "later": "draft"}
    found = await connection.fetchval(
        "select key from catalog.resources where search @@ to_tsquery('simple', 'mail')"
    )
    assert found == "mail-rule"
    assert sorted(await connection.fetch("select refs from catalog.blobs")) == [(1,), (2,)]
    held = await connection.fetch(
        "select c.content from catalog.artifacts a join catalog.chunks c on c.blob_id = a.blob_id order by 1"
    )
    assert [row[0] for row in held] == [b"other", b"same", b"same"]
    assert await connection.fetchval("select count(*) from catalog.chunks") == 2
    await connection.close()
