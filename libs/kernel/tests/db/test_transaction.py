"""Transactions: all or nothing, in their orgs alone, with what is to happen after them."""

from __future__ import annotations

import subprocess
import sys
from uuid import UUID, uuid4

import asyncpg
import pytest

from polis.db import CheckViolation, Deadline, ForeignKeyViolation, UniqueViolation, connections, new_id
from polis.testing import eventually

INSERT = "insert into notebook.notes (org_id, id, title) values ($1, $2, $3)"
TITLES = "select n.title from notebook.notes n where n.org_id = $1 order by n.title"


async def write(tx, org, *titles):
    for title in titles:
        await tx.execute(INSERT, org, uuid4(), title)


@pytest.fixture
async def titles(database, org):
    async def titles(of=org):
        return await database.tenant(of).rows(str, TITLES, of)

    return titles


async def test_what_a_transaction_wrote_is_there_after_it(database, org, titles):
    async with database.transaction([org]) as tx:
        await write(tx, org, "b", "a")
        assert await tx.rows(str, TITLES, org) == ["a", "b"]
        assert await titles() == []

    assert await titles() == ["a", "b"]


async def test_a_snapshot_outlives_pauses_between_its_statements(open_database, org, monkeypatch):
    """Who reads what it has found may be slow: 4 MB of an export can take longer than others may be idle."""
    monkeypatch.setitem(connections._SETTINGS, "idle_in_transaction_session_timeout", "100ms")
    database = await open_database(size=1)
    other = await asyncpg.connect(database.url, server_settings=connections._SETTINGS)

    async with database.snapshot(org, deadline=Deadline.after(60)) as tx:
        await tx.value("select 1")
        await other.execute("begin")
        await eventually(other.is_closed)

        assert await tx.value("select 1") == 1


async def test_an_error_in_the_block_undoes_it_and_frees_the_connection(database, org, titles):
    async def fail():
        async with database.transaction([org]) as tx:
            await write(tx, org, "a")
            raise LookupError

    with pytest.raises(LookupError):
        await fail()

    assert await titles() == []
    assert database.connections.in_use == 0
    assert database.connections.open_count == 1


async def test_a_swallowed_error_of_a_statement_is_not_taken_for_a_commit(database, org, titles):
    async def swallow():
        async with database.transaction([org]) as tx:
            await write(tx, org, "a")
            with pytest.raises(UniqueViolation):
                await write(tx, org, "a")

    with pytest.raises(RuntimeError, match="undone"):
        await swallow()

    assert await titles() == []


async def test_a_block_without_statements_takes_no_connection(open_database, org):
    database = await open_database(size=1)

    async with database.transaction([org]), database.transaction([org]) as inner:
        await inner.value("select 1")


async def test_an_ended_transaction_takes_no_more_statements(database, org):
    async with database.transaction([org]) as tx:
        await tx.value("select 1")

    with pytest.raises(RuntimeError, match="ended"):
        await tx.value("select 1")


@pytest.mark.parametrize(
    ("statement", "violation", "constraint"),
    [
        ("insert into notebook.notes (org_id, id, title) values ($1, $1, 'taken')", UniqueViolation, "notes_pkey"),
        ("insert into notebook.notes (org_id, id, title, stars) values ($1, $1, 'x', -1)", CheckViolation, "notes_stars_check"),
        ("insert into notebook.tags (org_id, note_id, tag) values ($1, uuidv7(), 'x')", ForeignKeyViolation, "tags_org_id_note_id_fkey"),
    ],
)  # fmt: skip
async def test_a_broken_rule_is_told_by_its_name(database, org, statement, violation, constraint):
    if violation is UniqueViolation:
        async with database.transaction([org]) as tx:
            await tx.execute(INSERT, org, org, "first")

    async def breaking():
        async with database.transaction([org]) as tx:
            await tx.execute(statement, org)

    with pytest.raises(violation) as broken:
        await breaking()

    assert broken.value.constraint == constraint


async def test_a_row_of_another_org_is_refused(database, org):
    async def smuggle():
        async with database.transaction([org]) as tx:
            await write(tx, uuid4(), "theirs")

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await smuggle()


async def test_a_transaction_in_two_orgs_sees_both_and_no_third(database, org, titles):
    second, third = uuid4(), uuid4()
    for each in (org, second, third):
        async with database.transaction([each]) as tx:
            await write(tx, each, "note")

    async with database.transaction([org, second]) as tx:
        seen = await tx.rows(UUID, "select n.org_id from notebook.notes n where n.title = 'note'")

    assert sorted(seen) == sorted([org, second])


async def test_across_orgs_sees_all_and_the_next_transaction_does_not(open_database, org):
    database = await open_database(size=1)
    other = uuid4()
    for each in (org, other):
        async with database.transaction([each]) as tx:
            await write(tx, each, "seen")
    count = "select count(*) from notebook.notes n where n.org_id = any($1)"

    async with database.across_orgs() as tx:
        assert await tx.value(count, [org, other]) == 2
    async with database.transaction([org]) as tx:
        assert await tx.value(count, [org, other]) == 1
        assert await tx.value("select current_user::text") == "app_notebook"


async def test_how_many_rows_were_touched(database, org):
    async with database.transaction([org]) as tx:
        await write(tx, org, "a", "b")
        assert await tx.execute("update notebook.notes set stars = 1 where org_id = $1", org) == 2
        assert await tx.execute("delete from notebook.notes where org_id = $1 and title = 'c'", org) == 0
        assert (
            await tx.value(
                "update notebook.notes set stars = 2 where org_id = $1 and title = 'a' returning stars", org
            )
            == 2
        )


async def test_callbacks_run_after_the_commit_and_not_after_an_error(database, org, titles):
    called = []

    async with database.transaction([org]) as tx:
        tx.after_commit(lambda: called.append("committed"))
        await write(tx, org, "a")
        assert called == []

    async def fail():
        async with database.transaction([org]) as tx:
            tx.after_commit(lambda: called.append("failed"))
            await write(tx, org, "b")
            raise LookupError

    with pytest.raises(LookupError):
        await fail()

    assert called == ["committed"]


def test_ids_sort_by_the_time_they_were_made():
    ids = [new_id() for _ in range(10_000)]

    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)
    assert {(i.version, i.variant) for i in ids} == {(7, "specified in RFC 4122")}


_FORKED = """
import os, time
from polis.db import new_id
new_id()
time.time_ns = lambda: 2_000_000_000_000_000_000
if child := os.fork():
    os.waitpid(child, 0)
print(*(new_id() for _ in range(3)))
"""


def test_a_process_and_its_fork_make_different_ids():
    """In the same millisecond, too."""
    told = subprocess.run([sys.executable, "-c", _FORKED], capture_output=True, check=True, text=True).stdout

    assert len(set(told.split())) == 6
