"""A PostgreSQL that freezes, dies, restarts or is full: callers wait in bounded time, and nothing leaks."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from msgspec import Struct

from polis.db import Batch, Database, Deadline, GroupCommit, connections
from polis.db.leadership import lead
from polis.proto import Refused
from polis.proto.problems import DeadlineExceeded, Overloaded, Unavailable

from .conftest import notebooks

DEADLINE_S = 0.4
GRACE_S = 4.0
LOOK_UP = """
    select q.n, o.id from unnest($1::uuid[], $2::uuid[]) with ordinality as q(org_id, id, n)
    join notebook.notes o on o.org_id = q.org_id and o.id = q.id
"""


class Key(Struct, frozen=True):
    id: UUID


@pytest.fixture(scope="module")
async def victim():
    """A server of its own, to be mistreated."""
    async with notebooks() as server:
        yield server


@pytest.fixture
async def database(victim):
    database = await Database.open(victim.url("app_notebook", "a", "postgres"), service="notebook", size=3)
    yield database
    await database.close()


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def signal_all(server, number):
    for pid in (server.process.pid, *children(server.process.pid)):
        os.kill(pid, number)


@asynccontextmanager
async def frozen(server):
    signal_all(server, signal.SIGSTOP)
    try:
        yield
    finally:
        signal_all(server, signal.SIGCONT)


async def outcome(call):
    """The type of the problem that a call was refused with; None when it was not."""
    try:
        await call
    except Refused as refused:
        return type(refused.problem)
    return None


async def read(database, org, deadline=None):
    return await database.tenant(org, deadline=deadline).value("select 1")


async def write(database, org, deadline=None):
    async with database.transaction([org], deadline=deadline) as tx:
        await tx.execute(
            "insert into notebook.notes (org_id, id, title) values ($1, $2, gen_random_uuid()::text)",
            org,
            uuid4(),
        )


async def look_across(database, org, deadline=None):
    async with database.across_orgs(deadline=deadline) as tx:
        await tx.value("select count(*) from notebook.notes")


async def put(database, org, deadline=None):
    async def store(tx, callers, records):
        await tx.value("select 1")
        return records

    await GroupCommit(database, store).put(org, "record", deadline=deadline)


async def get(database, org, deadline=None):
    await Batch(database, Key, LOOK_UP).get(org, uuid4(), deadline=deadline)


def at_once(work):
    """What is raised before anything is waited for."""
    with pytest.raises(Refused) as raised:
        work.send(None)
    return type(raised.value.problem)


async def wait_until(holds, within_s=20.0):
    end = time.monotonic() + within_s
    while not await holds():
        assert time.monotonic() < end
        await asyncio.sleep(0.02)


async def sessions(database):
    async with database.connections.use() as lease:
        rows = await lease.fetch("select count(*) from pg_stat_activity where usename = 'app_notebook'")
    return rows[0][0]


@pytest.mark.parametrize("call", [read, write, look_across, put, get])
async def test_a_frozen_server_costs_the_deadline_and_no_connection(victim, database, org, call):
    await asyncio.gather(*(read(database, org) for _ in range(9)))

    async with frozen(victim):
        started = time.monotonic()
        problems = await asyncio.gather(
            *(outcome(call(database, org, Deadline.after(DEADLINE_S))) for _ in range(9))
        )
        took = time.monotonic() - started
    assert took < DEADLINE_S + GRACE_S
    assert set(problems) <= {DeadlineExceeded, Unavailable}
    assert problems[0] is DeadlineExceeded

    async def healthy():
        return (
            await outcome(call(database, org, Deadline.after(2.0))) is None
            and database.connections.in_use == 0
        )

    await wait_until(healthy)

    async def none_left_over():
        return await sessions(database) <= database.connections.open_count

    await wait_until(none_left_over)


async def test_a_frozen_server_ends_the_lead(victim, database, monkeypatch):
    """Its statements are not waited for any longer; another process may lead by then, and goes on from what is recorded."""
    async with lead(database, "relay") as leading:
        monkeypatch.setattr("polis.db.leadership.DEFAULT_DEADLINE_S", DEADLINE_S)
        async with frozen(victim):
            assert await outcome(leading.value("select 1")) is DeadlineExceeded

    assert not leading()


async def test_readiness_turns_red_on_a_frozen_server_and_green_after_it(victim, database):
    async with frozen(victim):
        started = time.monotonic()
        assert await outcome(database.ping(0.3)) in (DeadlineExceeded, Unavailable)
        assert time.monotonic() - started < 0.3 + GRACE_S

    async def green():
        return await outcome(database.ping(1.0)) is None

    await wait_until(green)


async def test_a_cancelled_caller_leaves_a_frozen_server_at_once(victim, database, org):
    await read(database, org)
    async with frozen(victim):
        caller = asyncio.create_task(read(database, org))
        await asyncio.sleep(0.05)
        started = time.monotonic()
        caller.cancel()
        await asyncio.wait([caller])
        assert time.monotonic() - started < GRACE_S
        assert caller.cancelled()
    assert database.connections.in_use == 0


async def test_closing_does_not_wait_for_a_frozen_server(victim, org):
    database = await Database.open(victim.url("app_notebook", "a", "postgres"), service="notebook")
    async with frozen(victim):
        started = time.monotonic()
        caller = asyncio.create_task(outcome(read(database, org)))
        await asyncio.sleep(0.05)
        await database.close()
        assert time.monotonic() - started < GRACE_S
        assert await caller is Unavailable


async def test_a_killed_backend_costs_no_read(victim, database, org):
    """PostgreSQL restarts all its backends when one was killed; for a fraction of a second nobody can connect."""
    async with database.connections.use() as lease:
        os.kill((await lease.fetch("select pg_backend_pid()"))[0][0], signal.SIGKILL)

    answers = await asyncio.gather(*(read(database, org) for _ in range(20)))

    assert answers == [1] * 20


async def test_a_transaction_cut_in_the_middle_is_refused_and_undone(victim, database, org):
    async def cut():
        async with database.transaction([org]) as tx:
            pid = await tx.value("select pg_backend_pid()")
            await tx.execute("insert into notebook.notes (org_id, id, title) values ($1, $1, 'cut')", org)
            os.kill(pid, signal.SIGKILL)
            await tx.value("select pg_sleep(5)")

    assert await outcome(cut()) is Unavailable

    assert await database.tenant(org).rows(UUID, "select n.id from notebook.notes n") == []
    assert database.connections.in_use == 0


async def test_connections_that_the_server_closed_are_not_noticed_by_anyone(victim, database, org):
    await asyncio.gather(*(read(database, org) for _ in range(9)))
    async with database.connections.use() as lease:
        await lease.fetch(
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = current_user and pid <> pg_backend_pid()"
        )

    await asyncio.gather(*(write(database, org) for _ in range(9)))
    await asyncio.gather(*(read(database, org) for _ in range(9)))


async def test_an_outage_is_told_soon_then_at_once_and_ends_by_itself(victim, database, org):
    await read(database, org)
    port = victim.port
    await victim.stop()
    try:
        started = time.monotonic()
        assert await outcome(read(database, org)) is Unavailable
        assert time.monotonic() - started < connections.PATIENCE_S + GRACE_S

        assert at_once(read(database, org)) is Unavailable
        assert at_once(write(database, org)) is Unavailable
    finally:
        await victim.start(port)

    async def back():
        return await outcome(write(database, org)) is None

    await wait_until(back)


async def test_a_restart_within_patience_costs_no_read(victim, database, org, monkeypatch):
    for patience in ("PATIENCE_S", "RECOVERY_PATIENCE_S"):  # however long a loaded machine takes for it
        monkeypatch.setattr(connections, patience, 60.0)
    await read(database, org)
    port = victim.port
    await victim.stop()
    waiting = asyncio.gather(*(read(database, org, Deadline.after(60)) for _ in range(5)))
    await victim.start(port)

    assert await waiting == [1] * 5


async def test_a_wait_for_a_connection_ends_with_the_deadline(database, org):
    async with database.connections.use(), database.connections.use(), database.connections.use():
        started = time.monotonic()
        assert await outcome(read(database, org, Deadline.after(0.2))) is DeadlineExceeded
        assert 0.2 <= time.monotonic() - started < 0.2 + GRACE_S

    assert await read(database, org) == 1


async def test_who_leaves_the_queue_takes_no_connection_with_him(database, org):
    async with database.connections.use(), database.connections.use():
        async with database.connections.use():
            gone = asyncio.create_task(read(database, org))
            waiting = asyncio.create_task(read(database, org))
            await asyncio.sleep(0.02)
            gone.cancel()
        gone.cancel()
        assert await waiting == 1
    assert database.connections.in_use == 0


async def test_a_full_queue_is_refused_at_once(database, org, monkeypatch):
    monkeypatch.setattr(connections, "MAX_WAITING", 5)
    async with database.connections.use(), database.connections.use(), database.connections.use():
        waiting = [asyncio.create_task(read(database, org)) for _ in range(5)]
        await asyncio.sleep(0)
        assert await outcome(read(database, org)) is Overloaded

    assert await asyncio.gather(*waiting) == [1] * 5


async def test_a_statement_past_its_own_limit_is_late(database, org):
    async def slow():
        async with database.transaction([org]) as tx:
            await tx.execute("set local statement_timeout = '50ms'")
            await tx.value("select pg_sleep(5)")

    assert await outcome(slow()) is DeadlineExceeded


async def test_a_lock_that_is_not_given_up_is_contention(database, org):
    await write(database, org)
    async with database.transaction([org]) as holder:
        await holder.value("select n.id from notebook.notes n for update")

        async def wait():
            async with database.transaction([org]) as tx:
                await tx.execute("set local lock_timeout = '50ms'")
                await tx.value("select n.id from notebook.notes n for update")

        assert await outcome(wait()) is Overloaded


async def test_a_query_whose_caller_was_late_ends_on_the_server_too(victim, database, org):
    slow = database.tenant(org, deadline=Deadline.after(0.2)).value("select pg_sleep(20)")
    assert await outcome(slow) is DeadlineExceeded

    async def ended():
        async with database.connections.use() as lease:
            rows = await lease.fetch(
                "select count(*) from pg_stat_activity where query like '%pg_sleep(20)%' and pid <> pg_backend_pid()"
            )
        return rows[0][0] == 0

    await wait_until(ended)


async def test_a_migration_under_running_statements_costs_one_retry_at_most(victim, database, org):
    """Prepared statements end when their table changes; reads notice nothing, a transaction may be tried again."""
    import asyncpg

    select = "select n.* from notebook.notes n"
    owner = await asyncpg.connect(victim.url("polis_migrator", "m", "postgres"))
    await owner.execute("set role notebook_owner")
    await database.tenant(org).value(select)

    async def in_transaction():
        async with database.transaction([org]) as tx:
            await tx.value(select)

    for connection in range(3):
        await in_transaction()
        await owner.execute(f"alter table notebook.notes add column more_{connection} text")
        await database.tenant(org).value(select)
        assert await outcome(in_transaction()) in (None, Unavailable)
        await in_transaction()
    await owner.close()
