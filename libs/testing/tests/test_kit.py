"""The test kit: waiting, markers, and which servers a session gets."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import asyncpg
import psutil
import pytest

from polis.testing import eventually
from polis.testing.places import forget_the_dead
from polis.testing.servers import nats_server

ROOT = Path(__file__).parents[3]
A_STAGE = """
async def test_a_service_serves(stage):
    assert stage.database.url("app_catalog").startswith("postgresql://app_catalog:")
    await stage.start("catalog")
"""


def session(folder, text, **environment):
    """A test session of its own, in the tree's manner."""
    (folder / "pytest.ini").write_text(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = session\n"
        "asyncio_default_test_loop_scope = session\n"
    )
    (folder / "services").mkdir(exist_ok=True)
    (folder / "services" / "test_it.py").write_text(text)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("POLIS_")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "addopts=", folder],
        env=clean | environment,
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        timeout=90,
    )


async def test_eventually_waits_for_what_comes_and_tells_the_last_answer_of_what_does_not():
    answers = iter([0, 0, 3])

    assert await eventually(lambda: next(answers)) == 3
    with pytest.raises(AssertionError, match="the last answer was 0"):
        await eventually(lambda: 0, within_s=0.05)


async def test_eventually_waits_for_coroutines_too():
    async def look():
        return "seen"

    assert await eventually(look) == "seen"


def test_a_place_gives_its_marker(request):
    assert request.node.get_closest_marker("unit") is not None


async def test_each_stage_has_a_database_of_its_own_with_every_schema(postgres):
    async with postgres.database() as one, postgres.database() as another:
        connection = await asyncpg.connect(one.admin_url)
        schemas = await connection.fetch("select nspname from pg_namespace order by nspname")
        await connection.execute("create table only_here ()")
        elsewhere = await asyncpg.connect(another.admin_url)
        seen = await elsewhere.fetchval("select to_regclass('only_here')")
        await connection.close()
        await elsewhere.close()

    assert {"identity", "catalog", "runtime", "extensions"} <= {row["nspname"] for row in schemas}
    assert seen is None


async def test_servers_of_ones_own_are_used_and_left_clean(postgres, tmp_path):
    async with nats_server() as broker:
        url = broker.url.replace("//", f"//admin:{broker.passwords['admin']}@")

        ran = session(tmp_path, A_STAGE, POLIS_TEST_POSTGRES_URL=postgres.url, POLIS_TEST_NATS_URL=url)

    assert ran.returncode == 0, ran.stdout
    connection = await asyncpg.connect(postgres.url)
    names = [row["datname"] for row in await connection.fetch("select datname from pg_database")]
    await connection.close()
    assert len([name for name in names if name.startswith("polis_template_")]) == 1


def test_containers_without_an_engine_end_the_session_with_the_reason(tmp_path):
    ran = session(
        tmp_path, A_STAGE, POLIS_TEST_BACKEND="containers", DOCKER_HOST=f"unix://{tmp_path}/no-docker.sock"
    )

    assert ran.returncode == 1
    assert "no Docker engine answers at" in ran.stdout
    assert ran.stdout.splitlines()[-1].startswith("1 error")


def test_a_session_that_is_killed_leaves_no_process(tmp_path):
    pids = tmp_path / "pids"
    text = (
        "import os, pathlib, signal\n"
        "async def test_it(stage, postgres):\n"
        "    processes = stage.nats.embedded.process, postgres.embedded.process\n"
        f"    pathlib.Path({str(pids)!r}).write_text(' '.join(str(p.pid) for p in processes))\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )

    ran = session(tmp_path, text)

    assert ran.returncode == -signal.SIGKILL
    left = [psutil.Process(int(pid)) for pid in pids.read_text().split() if psutil.pid_exists(int(pid))]
    _, alive = psutil.wait_procs(left, timeout=10)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []


def test_what_a_killed_session_has_left_is_removed_and_nothing_else(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead, living, other = (
        tmp_path / f"polis-{name}" for name in (f"pg-{ended.pid}-a", f"pg-{os.getpid()}-b", "pg-c")
    )
    for folder in (dead, living, other):
        (folder / "data").mkdir(parents=True)

    forget_the_dead(tmp_path)

    assert sorted(tmp_path.iterdir()) == sorted([living, other])
