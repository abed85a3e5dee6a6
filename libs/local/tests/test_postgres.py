"""The embedded PostgreSQL: whose it is, how one gets in, and how it comes back."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from uuid import uuid4

import asyncpg
import psutil
import pytest

from polis.local.children import working_in
from polis.local.postgres import Postgres, PostgresFailed
from polis.testing.places import quick_folder


@pytest.fixture(scope="module")
async def new():
    """Data as a first start leaves it."""
    with quick_folder("polis-pg-") as folder:
        postgres = Postgres(folder / "data", password="right", log=folder / "log")
        await postgres.start()
        await postgres.stop()
        yield postgres.data


@pytest.fixture
def tmp_path():
    """Much of what these tests take is the copying of data."""
    with quick_folder("polis-pg-") as folder:
        yield folder


@pytest.fixture
async def make(tmp_path, new):
    """Makes servers on one folder; its data is a copy of a first start's, unless something lies there already."""
    made = []

    def make(*, first=False):
        folder = tmp_path / "closed"
        folder.mkdir(mode=0o700, exist_ok=True)
        if not first and not (folder / "data").exists():
            subprocess.run(["cp", "-a", new, folder], check=True)
        made.append(Postgres(folder / "data", password="right", log=tmp_path / "log"))
        return made[-1]

    yield make
    for postgres in made:
        await postgres.stop()


async def value(postgres, sql, **how):
    connection = await asyncpg.connect(postgres.url(database="postgres"), **how)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def test_it_runs_below_a_folder_that_only_its_starter_may_enter(make):
    postgres = make(first=True)
    await postgres.start()

    assert await value(postgres, "select 1") == 1
    assert postgres.data.parent.stat().st_mode & 0o777 == 0o700
    expected = 65534 if os.geteuid() == 0 else os.geteuid()
    assert psutil.Process(postgres.process.pid).uids().effective == expected


async def test_it_is_18_with_vectors_and_unicode_and_checksums_and_syncs(make):
    postgres = make()
    await postgres.start()

    await value(postgres, "create extension vector")
    assert await value(postgres, "select '[1,2]'::vector <-> '[1,3]'") == 1
    assert (await value(postgres, "show server_version")).startswith("18.")
    assert await value(postgres, "select lower('ÄÖ')") == "äö"
    assert await value(postgres, "show data_checksums") == "on"
    assert await value(postgres, "show fsync") == "on"
    assert int(await value(postgres, "show max_connections")) == 100


async def test_there_is_no_way_in_without_the_password(make):
    postgres = make()
    await postgres.start()

    for wrong in ("", "wrong"):
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(
                host="127.0.0.1",
                port=postgres.port,
                user="postgres",
                password=wrong or " ",
                database="postgres",
            )
    listening = {
        (c.laddr.ip, c.laddr.port) for c in psutil.Process(postgres.process.pid).net_connections("inet")
    }
    assert listening == {("127.0.0.1", postgres.port)}
    assert psutil.Process(postgres.process.pid).net_connections("unix") == []
    command = " ".join(psutil.Process(postgres.process.pid).cmdline())
    assert "right" not in command


async def test_it_stops_fast_although_somebody_is_connected(make):
    postgres = make()
    await postgres.start()
    connection = await asyncpg.connect(postgres.url(database="postgres"))

    await postgres.stop(within_s=3)

    assert postgres.process.returncode == 0
    assert working_in(postgres.data, "postgres") == []
    connection.terminate()


async def test_after_kill_9_it_comes_back_on_its_port_with_what_was_committed(make):
    postgres = make()
    await postgres.start()
    connection = await asyncpg.connect(postgres.url(database="postgres"))
    await connection.execute("create table t (n int)")
    await connection.execute("insert into t values (1)")
    port = postgres.port
    pid_file = (postgres.data / "postmaster.pid").read_text()

    postgres.kill()
    assert (postgres.data / "postmaster.pid").read_text() == pid_file
    await postgres.start(port)

    assert postgres.port == port
    assert await value(postgres, "select n from t") == 1
    connection.terminate()


async def test_frozen_children_of_a_killed_server_do_not_keep_it_from_starting(make):
    postgres = make()
    await postgres.start()
    connection = await asyncpg.connect(postgres.url(database="postgres"))
    backend = await connection.fetchval("select pg_backend_pid()")
    os.kill(backend, signal.SIGSTOP)

    postgres.kill()
    await postgres.start()

    assert await value(postgres, "select 1") == 1
    connection.terminate()


async def test_a_server_that_somebody_left_running_is_ended_and_taken_over(make, tmp_path):
    left = make()
    await left.start()
    await value(left, "create table t as select 7 as n")
    left._release()  # as the kernel does when a supervisor dies

    postgres = make()
    await postgres.start()

    assert left.process.wait() == 0
    assert await value(postgres, "select n from t") == 7


async def test_two_cannot_have_the_same_data(make):
    await make().start()

    with pytest.raises(PostgresFailed, match="another process keeps a server"):
        await make().start()


async def test_data_that_was_half_made_is_made_anew(make, tmp_path):
    half = tmp_path / "closed" / "data.new-abc"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")

    postgres = make(first=True)
    await postgres.start()

    assert await value(postgres, "select 1") == 1
    assert not half.exists()


async def test_data_of_another_major_version_is_refused_and_kept(make, tmp_path):
    data = tmp_path / "closed" / "data"
    data.mkdir(parents=True, mode=0o700)
    (data / "PG_VERSION").write_text("16\n")
    (data / "precious").write_text(uuid4().hex)

    with pytest.raises(PostgresFailed, match="of PostgreSQL 16, and this is 18"):
        await make().start()

    assert (data / "precious").exists()


async def test_a_folder_that_is_no_data_is_refused_and_kept(make, tmp_path):
    data = tmp_path / "closed" / "data"
    data.mkdir(parents=True, mode=0o700)
    (data / "precious").write_text("")

    with pytest.raises(PostgresFailed, match="holds no data of PostgreSQL"):
        await make().start()

    assert (data / "precious").exists()


async def test_a_start_that_cannot_be_tells_the_servers_own_words(make):
    postgres = make()
    taken = socket.create_server(("127.0.0.1", 0))

    with taken, pytest.raises(PostgresFailed, match="Address already in use"):
        await postgres.start(taken.getsockname()[1])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give data to another user")
async def test_root_runs_it_as_the_user_that_the_data_belongs_to(make, tmp_path):
    first = make()
    await first.start()
    await first.stop()
    for path in (first.data, *first.data.rglob("*")):
        os.chown(path, 4242, 4242, follow_symlinks=False)

    postgres = make()
    await postgres.start()

    assert psutil.Process(postgres.process.pid).uids().effective == 4242
    assert await value(postgres, "select 1") == 1
