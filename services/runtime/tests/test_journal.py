"""What the journal writes of many runs at a time: each by itself, and no more is read for it than what is written."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest

from polis.proto import runtime
from polis.runtime.shell.journal import Journal
from polis.runtime.shell.records import Admission, Flush, Outcome, Written
from polis.runtime.waits.rows import Opening

OWN, LOST = Written(own=True, paused=False), Written(own=False, paused=False)
OPENING = Opening("w", "-", "signal", "go", None, None, late=b"{}", data=b"{}")


@pytest.fixture
async def stored(database):
    """Runs of this process, by name, each of an org of its own; its journal."""
    journal, runs = Journal(database, uuid4()), {}
    for name in ("written", "waits", "paused", "cancelled", "taken", "another's"):
        now, org_id = datetime.now(UTC), uuid4()
        runs[name] = runtime.Run(
            id=uuid4(), org_id=org_id, graph="g", digest="d", state="running", actor_id=org_id, started_by=org_id,
            created_at=now, started_at=now,
        )  # fmt: skip
    admissions = [
        Admission(
            run, "d", None, b"{}", (), (runtime.Transition(1, 0, "running"),), journal.owner, attempts=b"[]"
        )
        for run in runs.values()
    ]
    await asyncio.gather(*map(journal.admit, admissions))
    return journal, runs


def end(run, epoch=1, **more):
    over = msgspec.structs.replace(run, state="succeeded", ended_at=datetime.now(UTC))
    transitions = (runtime.Transition(2, 5, "succeeded"),)
    return Flush(over, epoch, (), transitions, (Outcome("n", "-", b"{}"),), output=b"{}", **more)


async def test_runs_that_are_written_together_are_fenced_each_by_itself(stored, database, admin):
    journal, runs = stored
    told = []
    database.on_emit(
        lambda events: told.extend((type(event).__name__, event.run_id) for _, event, _ in events)
    )
    await admin.execute("update runtime.runs set paused_at = now() where id = $1", runs["paused"].id)
    await admin.execute(
        "update runtime.runs set state = 'cancelled', ended_at = now(), owner = null where id = $1",
        runs["cancelled"].id,
    )
    await admin.execute("update runtime.runs set epoch = 2 where id = $1", runs["taken"].id)
    await admin.execute("update runtime.runs set owner = $2 where id = $1", runs["another's"].id, uuid4())
    quiet = Flush(runs["paused"], 1, None, (), (Outcome("n", "-", b"{}"), Outcome("m", "-", b"{}")))
    opens = Flush(runs["waits"], 1, None, (), (Outcome("n", "-", b"{}"),), opened=(OPENING,))

    written = await asyncio.gather(
        *map(
            journal.flush,
            (
                end(runs["cancelled"]),
                end(runs["written"]),
                end(runs["taken"]),
                opens,
                quiet,
                end(runs["another's"]),
            ),
        )
    )

    assert written == [LOST, OWN, LOST, OWN, Written(own=True, paused=True), LOST]
    assert told == [("RunSucceeded", runs["written"].id)]
    names = {run.id: name for name, run in runs.items()}
    outcomes = await admin.fetch(
        "select run_id, node from runtime.journal where run_id = any($1)", list(names)
    )
    facts = await admin.fetch(
        "select entity, fact from runtime.outbox where entity = any($1)", [str(id_) for id_ in names]
    )
    states = await admin.fetch("select id, state from runtime.runs where id = any($1)", list(names))
    last = await admin.fetch(
        "select run_id from runtime.transitions where run_id = any($1) and last_seq = 2", list(names)
    )
    waits = await admin.fetch("select run_id from runtime.waits where run_id = any($1)", list(names))
    assert sorted((names[row["run_id"]], row["node"]) for row in outcomes) == [
        ("paused", "m"), ("paused", "n"), ("waits", "n"), ("written", "n"),
    ]  # fmt: skip
    assert sorted((names[UUID(row["entity"])], row["fact"]) for row in facts) == sorted(
        [(name, "run_started") for name in runs] + [("written", "run_succeeded")]
    )
    assert {names[row["id"]]: row["state"] for row in states} == dict.fromkeys(runs, "running") | {
        "written": "succeeded",
        "cancelled": "cancelled",
    }
    assert [names[row["run_id"]] for row in last] == ["written"]
    assert [names[row["run_id"]] for row in waits] == ["waits"]


_WRITE = """
select runtime.write_progress($2, array_fill($1::uuid, '{40}'), $4, array_fill(1, '{40}'),
    array_fill(case when $3 then 'running' end, '{40}'), array_fill(now(), '{40}'), array_fill(null::timestamptz, '{40}'),
    array_fill(case when $3 then 2::bigint end, '{40}'), array_fill('[]'::bytea, '{40}'), array_fill(null::bytea, '{40}'),
    array_fill(null::bytea, '{40}'), array_fill(null::bytea, '{40}'), array_fill(2::bigint, '{40}'),
    array_fill('[]'::bytea, '{40}'), '{1}', '{a}', '{-}', '{x}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')
"""
_READ = "select sum(idx_tup_fetch + seq_tup_read) from pg_stat_xact_user_tables where schemaname = 'runtime'"


async def test_the_runs_that_a_process_executes_beside_are_not_read(stage):
    """Nobody has analysed the table when a process has thousands of runs for the first time."""
    org_id, owner = uuid4(), uuid4()
    admin = await asyncpg.connect(stage.database.admin_url)
    undone = admin.transaction()
    await undone.start()
    ids = [uuid4() for _ in range(2000)]
    await admin.execute(
        """
        insert into runtime.runs (org_id, id, graph, digest, program, state, actor_id, started_by, created_at, started_at,
            seq, input, steps, owner, epoch)
        select $1, id, 'g', 'd', 'd', 'running', $1, $1, now(), now(), 1, '{}', '[]', $2, 1
        from unnest($3::uuid[]) as id
        """,
        org_id,
        owner,
        ids,
    )
    await admin.execute("set local role app_runtime; set local enable_seqscan = off")
    others = await admin.fetchval(_WRITE, org_id, owner, True, ids[:40])
    await admin.execute("select set_config('polis.orgs', $1, true)", f"{{{org_id}}}")
    read = []
    for told in (True, False):
        before = await admin.fetchval(_READ)
        assert await admin.fetchval(_WRITE, org_id, owner, told, ids[:40]) == [1] * 40
        read.append(await admin.fetchval(_READ) - before)
    await undone.rollback()
    await admin.close()

    assert others == [0] * 40  # nobody's rows without their org
    assert max(read) < 40 * 5
