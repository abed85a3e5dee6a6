"""The supervisor over stand-in services: what one sees, and what is left after the worst."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import asyncpg
import psutil
import pytest

from polis.local.ports import free_port
from polis.local.postgres import DATABASE
from polis.testing import eventually

IN_TIME_S = 40.0
"""Of a busy machine: what is to end has to be killed long before."""
MESH = Path(__file__).parent / "stand_in_mesh.py"


def test_everything_comes_up_and_goes_down_in_time(mesh):
    mesh.start("alpha=well", "beta=well")
    said = mesh.says("ready after")
    took = mesh.stop()

    assert [line.split()[0] for line in said.splitlines() if " ready " in line] != []
    assert mesh.process.returncode == 0
    assert took < IN_TIME_S
    assert mesh.left == []
    assert mesh.said.rstrip().endswith("postgresql   stopped")


def test_only_the_owner_sees_anything(mesh):
    mesh.start("alpha=well")
    mesh.says("ready after")

    root = mesh.home.root
    assert root.stat().st_mode & 0o777 == 0o700
    files = [*mesh.home.secrets.iterdir(), root / "state.json", root / "nats" / "nats.conf"]
    assert [path for path in files if path.stat().st_mode & 0o077] == []


def test_a_second_up_says_that_one_is_running(mesh, make_mesh):
    mesh.start("alpha=well")
    mesh.says("ready after")
    second = make_mesh()

    second.start("alpha=well")

    assert second.process.wait(60) == 1
    assert (
        f"running from this folder already at http://127.0.0.1:{0}, process {mesh.process.pid}" in second.said
    )


def test_a_service_that_ends_is_started_again_with_growing_pauses_and_its_line_says_so(mesh):
    mesh.start("alpha=fickle", "beta=well")

    said = mesh.says("starts again in 1 s")

    assert "alpha        failed     ended with 3: I have had enough; starts again in 0.2 s" in said
    assert "starts again in 0.5 s" in said
    assert "beta         failed" not in said


def test_a_service_that_is_missing_is_a_failed_line_and_the_others_run(mesh):
    mesh.start("alpha=missing", "beta=well")

    said = mesh.says("not ready: alpha: ended with 1")

    assert "No module named polis.nowhere" in said
    assert "beta         ready" in said
    assert mesh.stop() < IN_TIME_S


def test_what_a_service_lacks_is_in_its_line(mesh):
    mesh.start("alpha=unready")

    mesh.says("alpha        starting   moon: it is not full")


def test_services_that_do_not_end_are_ended_in_time(mesh):
    mesh.start("gateway=well", "alpha=stubborn", POLIS_PORT=str(free_port()))
    mesh.says("ready after")

    assert mesh.stop(signal.SIGINT) < IN_TIME_S
    assert "alpha        stopped    had to be killed" in mesh.said
    assert mesh.left == []


async def test_a_service_whose_port_was_taken_since_comes_up_at_another_one(mesh):
    mesh.start("alpha=well")
    mesh.says("ready after")
    before = mesh.home.state()
    port = before.ports["alpha"]
    first = psutil.Process(before.children["alpha"].pid)
    mesh.process.send_signal(signal.SIGSTOP)  # or the service may be there again before the port is taken
    first.kill()
    await eventually(lambda: first.status() == psutil.STATUS_ZOMBIE)

    with socket.create_server(("127.0.0.1", port)):
        mesh.process.send_signal(signal.SIGCONT)
        mesh.says("starts again in 0.2 s")
        await eventually(lambda: mesh.home.state().ports["alpha"] != port, within_s=5)
        moved = mesh.home.state().ports["alpha"]
        mesh.says(f"alpha        ready      port {moved}")


async def test_after_kill_9_the_next_up_takes_over_with_all_that_was_stored(mesh):
    mesh.start("alpha=well", "beta=stubborn")
    mesh.says("ready after")
    await _sql(mesh, "create table kept (n int); insert into kept values (42)")
    before = mesh.home.state()
    mesh.stop(signal.SIGKILL)

    mesh.output.unlink()
    mesh.start("alpha=well", "beta=stubborn")
    mesh.says("ready after")

    assert [name for name, child in before.children.items() if child.alive()] == []
    assert await _sql(mesh, "select n from kept") == 42


async def test_a_frozen_rest_of_a_killed_mesh_is_taken_over_too(mesh):
    mesh.start("alpha=well")
    mesh.says("ready after")
    await _sql(mesh, "create table kept (n int); insert into kept values (42)")
    rest = mesh.left
    for process in rest:
        process.suspend()
    mesh.stop(signal.SIGKILL)

    mesh.output.unlink()
    mesh.start("alpha=well")
    mesh.says("ready after", within_s=40)

    assert [p for p in rest if p.is_running() and p.status() != psutil.STATUS_ZOMBIE] == []
    assert await _sql(mesh, "select n from kept") == 42


async def test_servers_that_die_are_started_again_where_they_were(mesh):
    mesh.start("alpha=well")
    mesh.says("ready after")
    before = mesh.home.state()
    for name in ("postgresql", "nats"):
        os.kill(before.children[name].pid, signal.SIGKILL)

    mesh.says("postgresql   failed")
    mesh.says("nats         failed")
    await eventually(
        lambda: {mesh.home.state().parts[n][0] for n in ("postgresql", "nats")} == {"ready"}, within_s=15
    )

    after = mesh.home.state()
    assert (after.postgres_port, after.nats_port) == (before.postgres_port, before.nats_port)
    assert await _sql(mesh, "select 1") == 1


def test_a_taken_port_is_named_with_its_holder(mesh):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        mesh.start("gateway=well", POLIS_PORT=str(port))

        assert mesh.process.wait(60) == 1
        name = Path(sys.executable).resolve().name
        assert f"port {port} is taken by" in mesh.said
        assert f"(process {os.getpid()})" in mesh.said, name


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("POLIS_PROT", "1", "POLIS_PROT is no setting"),
        ("POLIS_PORT", "http", "has to be a number"),
        ("POLIS_HOST", "example.org", "has to be an IP address"),
    ],
)
def test_a_setting_that_cannot_be_is_named(mesh, name, value, words):
    mesh.start("alpha=well", **{name: value})

    assert mesh.process.wait(60) != 0
    assert words in mesh.said


def test_a_lost_password_is_told_and_the_data_is_kept(mesh):
    mesh.start("alpha=well")
    mesh.says("ready after")
    mesh.stop()
    (mesh.home.secrets / "postgres").unlink()

    mesh.start("alpha=well")

    assert mesh.process.wait(60) == 1
    assert "does not open with" in mesh.said
    assert "password authentication failed" in mesh.said
    assert (mesh.home.root / "postgres" / "PG_VERSION").exists()


def test_detached_it_stays_up_and_down_ends_it(mesh):
    mesh.start("alpha=well", action="detach")
    assert mesh.process.wait(60) == 0, mesh.said

    again = mesh.start("alpha=well", action="detach").wait(60)
    supervisor = mesh.home.state().supervisor
    down = subprocess.run(
        [sys.executable, "-m", "polis.local", "down"],
        env=os.environ | {"POLIS_HOME": str(mesh.home.root)},
        check=False,
        capture_output=True,
        timeout=60,
    )

    assert again == 0
    assert "the mesh is up at" in mesh.said
    assert down.stdout.decode() == "the mesh is down\n"
    assert not supervisor.alive()
    assert mesh.left == []


def test_detached_it_tells_why_it_cannot_start(mesh):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        mesh.start("gateway=well", action="detach", POLIS_PORT=str(taken.getsockname()[1]))

        assert mesh.process.wait(60) == 1
        assert "is taken by" in mesh.said


def test_an_ordinary_user_runs_it_as_well_as_root_does(make_mesh, open_folder):
    """Root drops to nobody; an ordinary user is the case itself."""
    if os.geteuid() != 0:
        command, user = None, None
    else:
        command, user = _as_nobody(open_folder)
    mesh = make_mesh(open_folder, *(user or ()), command=command)

    mesh.start("alpha=well")

    mesh.says("ready after")
    owner = os.geteuid() if user is None else 65534
    assert {p.uids().real for p in mesh.left} == {owner}
    assert mesh.stop() < IN_TIME_S


def _as_nobody(folder: Path) -> tuple[list[str], list[str]]:
    """A command line that runs the mesh as nobody, where some Python on this machine can be run by nobody at all."""
    packages = Path(asyncpg.__file__).parent.parent
    drop = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env", f"HOME={folder}"]
    code = (
        f"import site, sys; site.addsitedir({str(packages)!r}); import runpy, psutil, polis.local; sys.argv = sys.argv[1:]; "
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        probe = [*drop, python, "-c", code.split("; sys.argv", maxsplit=1)[0]]
        if subprocess.run(probe, check=False, capture_output=True, cwd="/").returncode == 0:
            return [python, "-c", code, str(MESH)], drop
    pytest.skip("nobody may run no Python here that has this tree's packages")


async def _sql(mesh, statement):
    password = (mesh.home.secrets / "postgres").read_text()
    port = mesh.home.state().postgres_port
    connection = await asyncpg.connect(f"postgresql://postgres:{password}@127.0.0.1:{port}/{DATABASE}")
    try:
        return (
            await connection.fetchval(statement)
            if statement.startswith("select")
            else await connection.execute(statement)
        )
    finally:
        await connection.close()
