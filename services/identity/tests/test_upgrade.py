"""An identity that has been in use is brought up to date with what it holds."""

from __future__ import annotations

import shutil
from pathlib import Path
from uuid import uuid4

import asyncpg
import msgspec
import pytest

import polis.identity
from polis.db.databases import create_database, drop_database
from polis.db.migrate import migrate
from polis.db.provision import MIGRATOR, provision
from polis.local.mesh import owners
from polis.proto.contract import event_type_of
from polis.proto.identity import QuotaSet, Subject
from polis.testing.servers import Database

MIGRATIONS = Path(next(iter(polis.identity.__path__))) / "migrations"


@pytest.fixture
async def early(postgres, tmp_path, request):
    """A database from before a migration: from before a service listened to quotas."""
    server = postgres
    database = Database(server.url, f"upgrade_{uuid4().hex[:8]}", server.passwords)
    await create_database(server.url, database.name)
    await provision(database.admin_url, owners(), server.passwords)
    for file in MIGRATIONS.glob("*.sql"):
        if file.name < request.param:
            shutil.copy(file, tmp_path)
    await migrate(database.url(MIGRATOR), "identity", tmp_path)
    yield database
    await drop_database(server.url, database.name)


@pytest.mark.parametrize(("early", "meter"), [("0026", "runs"), ("0037", "messages")], indirect=["early"])
async def test_quotas_that_were_set_are_told_to_those_who_listen_by_now(early, meter):
    org, quota = uuid4(), uuid4()
    connection = await asyncpg.connect(early.admin_url)
    await connection.execute(
        "insert into identity.orgs (org_id, name, created_at) values ($1, 'Org', now())", org
    )
    await connection.execute(
        "insert into identity.quotas values ($1, $2, 'org', null, $3, 'day', 7, false, $1, now())",
        org,
        quota,
        meter,
    )

    await migrate(early.url(MIGRATOR), "identity")

    told = await connection.fetchrow("select subject, fact, entity, payload from identity.outbox")
    event = msgspec.json.decode(told["payload"], type=QuotaSet)
    kind = event_type_of(QuotaSet)
    assert event == QuotaSet(org, quota, Subject("org"), meter, "day", 7)
    assert (told["subject"], told["fact"], told["entity"]) == (kind.subject(event), kind.fact, str(quota))
    await connection.close()
