"""The audit log: chained, verified, cut at its beginning, and closed to changes."""

from __future__ import annotations

import asyncio
import contextlib
from uuid import uuid4

import asyncpg
import pytest

from polis.db import Database
from polis.identity.audit.log import record
from polis.identity.tokens.keys import utc_now


@pytest.fixture
async def database(app_url):
    database = await Database.open(app_url, service="identity", size=4)
    yield database
    await database.close()


@pytest.fixture
def write(database):
    async def write(org_id, action="thing.done", *, at=None, **more):
        async with database.transaction([org_id]) as tx:
            await record(tx, org_id=org_id, action=action, actor_id=uuid4(), at=at or utc_now(), **more)

    return write


async def test_records_of_an_org_are_numbered_without_gaps_whoever_writes_at_once(write, rows):
    org = uuid4()

    await asyncio.gather(*(write(org, subject=str(n)) for n in range(40)))

    stored = await rows("select n, subject from identity.audit where org_id = $1 order by n", org)
    assert [row["n"] for row in stored] == list(range(1, 41))
    assert {row["subject"] for row in stored} == {str(n) for n in range(40)}


async def test_what_is_undone_leaves_no_gap(database, write, rows):
    org = uuid4()
    await write(org)
    with contextlib.suppress(RuntimeError):
        async with database.transaction([org]) as tx:
            await record(tx, org_id=org, action="thing.done", actor_id=None, at=utc_now())
            raise RuntimeError
    await write(org)

    assert [r["n"] for r in await rows("select n from identity.audit where org_id = $1 order by n", org)] == [
        1,
        2,
    ]


@pytest.mark.parametrize("role", ["app_identity", "identity_system"])
@pytest.mark.parametrize(
    "change",
    [
        "update identity.audit set subject = 'x'",
        "delete from identity.audit",
        "truncate identity.audit",
        "delete from identity.audit_cuts",
        "update identity.audit_cuts set n = 0",
        "delete from identity.audit_heads",
    ],
)
async def test_the_database_refuses_to_change_or_remove_records(app_url, write, change, role):
    org = uuid4()
    await write(org)
    app = await asyncpg.connect(app_url)
    try:
        await app.execute(f"set role {role}")
        await app.execute("select set_config('polis.orgs', $1, false)", f"{{{org}}}")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.execute(change)
    finally:
        await app.close()
