"""What is kept of ended runs, and for how long: open ones stay, and nothing of a deleted one is left behind."""

from __future__ import annotations

import hashlib
import os
import time
from uuid import UUID, uuid4

import asyncpg
import pytest

from polis.db import Database
from polis.proto import runtime
from polis.proto.problems import Forbidden
from polis.runtime.retention import sweep as sweeps
from polis.runtime.retention.policy import Policy
from polis.runtime.retention.sweep import Sweep
from polis.testing import eventually

DAY_S = 86_400
TABLES = ("journal", "transitions", "run_tags", "waits")


@pytest.fixture(scope="module")
async def admin(stage, running):
    connection = await asyncpg.connect(stage.database.admin_url)
    yield connection
    await connection.close()


@pytest.fixture(scope="module")
async def database(stage, running):
    opened = await Database.open(stage.database.url("app_runtime"), service="runtime", size=2)
    yield opened
    await opened.close()


@pytest.fixture
def old_run(admin):
    """Insert a run that was created so many days ago, with a row in each table that hangs on runs."""

    async def insert(org_id, days, *, state="succeeded", output=b"{}", program=b"{}"):
        digest = hashlib.sha256(program).hexdigest()
        await admin.execute(
            "insert into runtime.programs values ($1, $2, $3, now(), now() - interval '1 year') on conflict do nothing",
            org_id, digest, program,
        )  # fmt: skip
        ms = int((time.time() - days * DAY_S) * 1000)
        run_id = UUID(int=(ms << 80) | (uuid4().int & (1 << 80) - 1))
        ended = state in runtime.TERMINAL
        await admin.execute(
            """
            insert into runtime.runs (org_id, id, graph, digest, program, state, actor_id, started_by, created_at,
                started_at, ended_at, seq, input, steps, output, epoch, wake_at)
            select $1, $2, 'old', $3, $3, $4, $1, $1, at, at, case when $5 then at end, 1, '{}', '[]', $6, 1, 'infinity'
            from (select now() - $7 * interval '1 day' as at) a
            """,
            org_id, run_id, digest, state, ended, output if state == "succeeded" else None, days,
        )  # fmt: skip
        await admin.execute("insert into runtime.journal values ($1, $2, 'a', '-', '{}')", org_id, run_id)
        await admin.execute("insert into runtime.transitions values ($1, $2, 1, 1, '[]')", org_id, run_id)
        await admin.execute("insert into runtime.run_tags values ($1, 'old', $2)", org_id, run_id)
        await admin.execute(
            """
            insert into runtime.waits (org_id, id, run_id, node, item, kind, name, late, data)
            values ($1, $2, $2, 'a', '-', 'timer', '', '{}', '{}')
            """,
            org_id, run_id,
        )  # fmt: skip
        return run_id

    return insert


@pytest.fixture
def kept(admin):
    """The runs that are left of an org, and what is left in each other table, all of it of those runs."""

    async def kept(org_id):
        runs = {
            row["id"] for row in await admin.fetch("select id from runtime.runs where org_id = $1", org_id)
        }
        for table in TABLES:
            rows = await admin.fetch(f"select run_id from runtime.{table} where org_id = $1", org_id)
            assert {row["run_id"] for row in rows} == runs, table
        return runs

    return kept


async def test_runs_go_by_age_in_batches_and_open_ones_never(database, old_run, kept, admin):
    org, other = uuid4(), uuid4()
    for days in (400, 300, 200, 101):
        await old_run(org, days, program=b'{"a":1}')
    stays = {await old_run(org, 400, state="waiting"), await old_run(org, 99), await old_run(org, 1)}
    theirs = {await old_run(other, 400)}
    await admin.execute("insert into runtime.retention values ($1, 1000)", other)

    deleted = await Sweep(database, Policy(days=100), batch=2).turn()

    assert deleted == 4
    assert await kept(org) == stays
    assert await kept(other) == theirs
    programs = await admin.fetch("select content from runtime.programs where org_id = $1", org)
    assert [row["content"] for row in programs] == [b"{}"]


async def test_a_turn_is_bounded_and_the_next_goes_on_where_it_stopped(database, old_run, kept):
    orgs = [uuid4() for _ in range(2)]
    for org in orgs:
        for days in range(200, 204):
            await old_run(org, days)
    sweep = Sweep(database, Policy(days=100), batch=1, batches=3)

    turns = [await sweep.turn() for _ in range(10)]

    assert 1 <= max(turns) <= 3
    assert sum(turns) >= 8
    assert [await kept(org) for org in orgs] == [set(), set()]


async def test_the_oldest_go_until_an_org_is_within_its_size(database, old_run, kept, admin):
    org = uuid4()
    for days in (6, 5):
        await old_run(org, days, output=os.urandom(10_000))
    stays = {await old_run(org, 4, state="waiting")}
    stays |= {await old_run(org, days, output=os.urandom(10_000)) for days in (3, 2, 1)}
    await admin.execute("insert into runtime.retention values ($1, null, 35000)", org)

    await Sweep(database, Policy()).turn()

    assert await kept(org) == stays


async def test_more_runs_than_a_turn_looks_at_are_added_up_over_several(
    database, old_run, kept, admin, monkeypatch
):
    monkeypatch.setattr(sweeps, "PAGE", 2)
    monkeypatch.setattr(sweeps, "PAGES", 1)
    org = uuid4()
    goes = {await old_run(org, days, output=os.urandom(10_000)) for days in (7, 6, 5)}
    stays = {await old_run(org, days, output=os.urandom(10_000)) for days in (4, 3, 2, 1)}
    await admin.execute("insert into runtime.retention values ($1, null, 45000)", org)
    sweep = Sweep(database, Policy())

    await sweep.turn()
    assert await kept(org) == stays | goes
    await sweep.turn()
    await sweep.turn()

    assert await kept(org) == stays


async def test_an_org_says_how_long_its_runs_are_kept_by_whoever_manages_them(ada, actors, caller, refused):
    admin = actors.person("admin", org_id=ada.org_id)
    admin.caller = caller
    wanted = runtime.SetRunRetention(days=30)

    assert isinstance(await refused(ada.call(wanted)), Forbidden)
    said = await admin.call(wanted)

    assert said == runtime.RunRetention(days=30, bytes=None, own_days=30, own_bytes=None)
    assert await ada.call(runtime.GetRunRetention()) == said
    assert await admin.call(runtime.SetRunRetention()) == runtime.RunRetention(None, None, None, None)


async def test_an_ended_run_is_deleted_with_all_of_it_by_who_started_it_or_manages_runs(
    ada, actors, caller, played, effects, graph_of, refused
):
    played.graphs["gone"] = graph_of("test.effect")
    runs = [await ada.call(runtime.StartRun(graph="gone", input={"x": n}, tags=("t",))) for n in range(2)]
    for run in runs:
        await eventually(lambda run=run: _ended(ada, run.id))
    colleague, admin, stranger = (
        actors.person("member", org_id=ada.org_id), actors.person("admin", org_id=ada.org_id), actors.person("owner"),
    )  # fmt: skip
    for person in (colleague, admin, stranger):
        person.caller = caller
    effects.gate.clear()
    open_ = await ada.call(runtime.StartRun(graph="gone", input={"x": 1}))

    assert isinstance(await refused(colleague.call(runtime.DeleteRun(run_id=runs[0].id))), Forbidden)
    hidden = await refused(stranger.call(runtime.DeleteRun(run_id=runs[0].id)))
    assert hidden == runtime.RunNotFound(run_id=runs[0].id)
    assert await refused(ada.call(runtime.DeleteRun(run_id=open_.id))) == runtime.RunOpen(state="running")
    await ada.call(runtime.DeleteRun(run_id=runs[0].id))
    await admin.call(runtime.DeleteRun(run_id=runs[1].id))

    assert await refused(ada.call(runtime.GetRun(run_id=runs[0].id))) == runtime.RunNotFound(
        run_id=runs[0].id
    )
    assert [run.id for run in (await ada.call(runtime.ListRuns())).items] == [open_.id]


async def _ended(person, run_id):
    return (await person.call(runtime.GetRun(run_id=run_id))).state in runtime.TERMINAL
