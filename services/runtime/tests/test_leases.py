"""Taking over what others have left behind, whatever state they are in."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import pytest

from polis.db import Database
from polis.runtime.shell import leases
from polis.runtime.waits.due import complete_due
from polis.testing import eventually

ORG, RUN, FROZEN, OTHER = (UUID(int=n) for n in range(1, 5))


@pytest.fixture
async def abandoned(admin):
    """An open run, of an instance that was not seen for an hour."""
    await admin.execute(
        "insert into runtime.instances values ('frozen', $1, now() - interval '1 hour')", FROZEN
    )
    digest = hashlib.sha256(b"{}").hexdigest()
    await admin.execute("insert into runtime.programs values ($1, $2, '{}')", ORG, digest)
    await admin.execute(
        """
        insert into runtime.runs (org_id, id, graph, digest, program, state, actor_id, started_by, created_at, started_at,
            seq, input, steps, owner, epoch)
        values ($1, $2, 'g', $3, $3, 'running', $1, $1, $4, $4, 1, '{}', '[]', $5, 1)
        """,
        ORG,
        RUN,
        digest,
        datetime.now(UTC),
        FROZEN,
    )
    yield
    for table in ("runs", "programs", "instances"):
        await admin.execute(f"delete from runtime.{table}")


async def test_a_process_that_froze_in_the_middle_of_a_transaction_holds_nobody_up(
    abandoned, admin, stage, database
):
    frozen = await asyncpg.connect(
        stage.database.url("app_runtime"), server_settings={"application_name": "frozen"}
    )
    begun = frozen.transaction()
    await begun.start()
    await frozen.execute("select set_config('polis.orgs', $1, true)", f"{{{ORG}}}")
    await frozen.execute("select from runtime.runs where id = $1 for update", RUN)
    await admin.execute("update runtime.instances set sessions = 'frozen' where incarnation = $1", FROZEN)
    await leases.register(database, "other", OTHER)

    async def claim():
        return await leases.claim(database, OTHER, active=[], lease_s=1.0, limit=10)

    assert await claim() == []
    counts, dead = await leases.beat(database, OTHER, lease_s=1.0)
    assert (counts, dead) == (True, ["frozen"])
    await leases.end_sessions(database, dead)

    assert [c.run.id for c in await eventually(claim)] == [RUN]
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await begun.commit()


async def test_nobody_waits_for_a_process_that_froze_while_it_beat(abandoned, admin, stage, database):
    async def claim():
        async with asyncio.timeout(30):
            return await leases.claim(database, OTHER, active=[], lease_s=1.0, limit=10)

    frozen = await asyncpg.connect(stage.database.admin_url)
    beating = frozen.transaction()
    await beating.start()
    await frozen.execute("update runtime.instances set seen_at = now() where incarnation = $1", FROZEN)

    claimed = await claim()

    assert [(c.run.id, c.epoch) for c in claimed] == [(RUN, 2)]
    await beating.rollback()
    await frozen.close()
    assert await claim() == []
    assert await admin.fetchval("select count(*) from runtime.instances where name = 'frozen'") == 0


RESTING = 5_000


@pytest.fixture
async def resting(admin):
    """Runs that wait for a time tomorrow, and nothing else."""
    digest = hashlib.sha256(b"{}").hexdigest()
    await admin.execute("insert into runtime.programs values ($1, $2, '{}')", ORG, digest)
    await admin.execute(
        """
        insert into runtime.runs (org_id, id, graph, digest, program, state, actor_id, started_by, created_at, started_at,
            seq, input, steps, epoch, wake_at)
        select $1, gen_random_uuid(), 'g', $2, $2, 'waiting', $1, $1, now(), now(), 2, '{}', '[]', 1, now() + interval '1 day'
        from generate_series(1, $3)
        """,
        ORG,
        digest,
        RESTING,
    )
    await admin.execute(
        """
        insert into runtime.waits (org_id, id, run_id, node, item, kind, name, due_at, late, data)
        select org_id, gen_random_uuid(), id, 'n', '-', 'timer', '', now() + interval '1 day', '{}', 'null' from runtime.runs
        """
    )
    await admin.execute("analyze runtime.runs, runtime.waits")
    yield
    for table in ("runs", "programs", "instances"):
        await admin.execute(f"delete from runtime.{table}")


async def test_runs_that_rest_are_not_even_looked_at(resting, stage, admin):
    """What a process asks again and again reads no row of theirs: not when it claims, nor for what is due."""
    database = await Database.open(stage.database.url("app_runtime"), service="runtime", size=1)

    async def read():
        async with database.across_orgs() as tx:
            await tx.value("select pg_stat_force_next_flush()")
        await admin.execute("select pg_stat_force_next_flush()")  # what making them read is told late, too
        return await admin.fetchval(
            """
            select sum(seq_tup_read + idx_tup_fetch)::bigint from pg_stat_user_tables
            where schemaname = 'runtime' and relname in ('runs', 'waits')
            """
        )

    before = await read()
    for _ in range(5):
        assert await leases.claim(database, OTHER, active=[], lease_s=1.0, limit=10) == []
        completed, next_s = await complete_due(database)
        assert completed == []
        assert 80_000 < next_s < 90_000
    after = await read()

    await database.close()
    assert after - before <= 5
