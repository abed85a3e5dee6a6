"""Servers of the user's own: used when they will do, and told what they lack when not."""

from __future__ import annotations

import asyncpg
import pytest

from polis.local.children import spawn
from polis.local.nats import binary
from polis.local.ports import free_port
from polis.local.servers import role_url
from polis.local.theirs import nats_faults, place_of, postgres_faults
from polis.testing import eventually


@pytest.fixture
async def database(postgres):
    async with postgres.database() as database:
        yield database


@pytest.fixture
async def start_nats(tmp_path):
    started = []

    async def start(*options):
        port = free_port()
        command = [str(binary()), "-a", "127.0.0.1", "-p", str(port), *options]
        started.append(spawn(command, cwd=tmp_path))
        url = f"nats://127.0.0.1:{port}"
        await eventually(lambda: _listens(url))
        return url

    yield start
    for process in started:
        process.kill()
        process.wait()


async def _listens(url):
    return "cannot be used" not in str(await nats_faults(url))


async def test_a_server_that_will_do_has_no_faults(database, start_nats):
    assert await postgres_faults(database.admin_url) == []
    assert await nats_faults(await start_nats("-js", "-sd", "store")) == []


async def test_a_user_that_may_not_make_roles_and_schemas_is_told_so(database):
    faults = await postgres_faults(database.url("app_catalog"))

    assert len(faults) == 2
    assert "createrole" in faults[0]


async def test_a_wrong_password_is_told_by_the_servers_words(database):
    faults = await postgres_faults(database.admin_url.replace("postgres:", "postgres:wrong"))

    assert "password authentication failed" in faults[0]


async def test_a_nats_without_streams_is_told_so(start_nats):
    assert await nats_faults(await start_nats()) == ["its JetStream is not enabled for this user's account"]


async def test_the_mesh_runs_on_servers_of_ones_own(mesh, database, start_nats):
    nats_url = await start_nats("-js", "-sd", "store")
    mesh.start("alpha=well", POLIS_POSTGRES_URL=database.admin_url, POLIS_NATS_URL=nats_url)

    said = mesh.says("ready after")

    assert f"postgresql   ready      your own, {place_of(database.admin_url)}" in said
    assert set(mesh.home.state().children) == {"alpha"}
    assert database.admin_url.rpartition("@")[0].rpartition(":")[2] not in said
    mesh.stop()
    connection = await asyncpg.connect(database.admin_url)
    assert await connection.fetchval("select 1") == 1
    await connection.close()


async def test_a_server_that_lacks_something_ends_the_start_with_what_it_lacks(mesh, start_nats):
    mesh.start("alpha=well", POLIS_NATS_URL=await start_nats())

    assert mesh.process.wait(60) == 1
    assert "cannot start: NATS at 127.0.0.1:" in mesh.said
    assert "JetStream is not enabled" in mesh.said


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://a:b@db.example.org/x", "postgresql://r:p@db.example.org/x"),
        ("postgresql://a:b@[::1]:5433/x?sslmode=require", "postgresql://r:p@[::1]:5433/x?sslmode=require"),
        ("postgresql:///x?host=/run/postgresql", "postgresql://r:p@/x?host=/run/postgresql"),
    ],
)
def test_a_role_has_its_url_on_the_same_server(url, expected):
    assert role_url(url)("r", "p") == expected
