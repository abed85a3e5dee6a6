"""The embedded nats-server under the contract's configuration."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import nats
import pytest
from nats.js.errors import NotFoundError

from polis.bus import Bus
from polis.bus.admin import consumers
from polis.bus.config import SYSTEM, Broker, render_config
from polis.bus.permissions import ADMIN, inbox_prefix, users
from polis.local.children import working_in
from polis.local.nats import Nats, NatsFailed, binary
from polis.proto.registry import SERVICES

PASSWORDS = {name: f"pw-{name}" for name in (*(s.name for s in SERVICES), ADMIN, SYSTEM)}


@pytest.fixture
async def make(tmp_path):
    made = []

    def make():
        made.append(Nats(tmp_path / 'a "quoted" földer', passwords=PASSWORDS, log=tmp_path / "log"))
        return made[-1]

    yield make
    for server in made:
        await server.stop()


async def admin(server):
    return await nats.connect(
        server.url,
        user=ADMIN,
        password=PASSWORDS[ADMIN],
        inbox_prefix=inbox_prefix(ADMIN),
        allow_reconnect=False,
    )


def test_the_server_itself_finds_no_fault_in_its_configuration(tmp_path):
    config = tmp_path / "nats.conf"
    config.write_text(render_config(Broker(store_dir=Path("store")), users(), PASSWORDS))

    checked = subprocess.run([binary(), "-t", "-c", config], check=False, capture_output=True, cwd=tmp_path)

    assert checked.returncode == 0, checked.stderr.decode()


async def test_its_streams_are_there_whatever_the_folder_is_called(make, tmp_path):
    server = make()
    await server.start()

    client = await admin(server)
    assert (await client.jetstream().stream_info("EVENTS_CATALOG")).config.subjects == ["event.catalog.>"]
    await client.close()
    assert (tmp_path / 'a "quoted" földer' / "store").is_dir()
    assert (tmp_path / 'a "quoted" földer' / "nats.conf").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 1), (5, 2), (8, 4)])
async def test_it_takes_half_of_the_cores(make, monkeypatch, cores, threads):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    monkeypatch.delenv("GOMAXPROCS", raising=False)
    server = make()
    await server.start()

    bus = await Bus.connect(server.url, name="test", user=SYSTEM, password=PASSWORDS[SYSTEM])
    told = json.loads((await bus.request("$SYS.REQ.SERVER.PING.VARZ", b"", timeout_s=5)).payload)

    assert told["data"]["gomaxprocs"] == threads
    await bus.close()


async def test_after_kill_9_it_comes_back_on_its_port_with_what_was_stored(make):
    server = make()
    await server.start()
    client = await admin(server)
    await client.jetstream().publish("event.catalog.version_published.o.e", b"one")
    await client.close()
    port = server.port

    server.kill()
    await server.start()

    client = await admin(server)
    assert server.port == port
    assert (await client.jetstream().get_msg("EVENTS_CATALOG", 1)).data == b"one"
    await client.close()


async def test_a_wiped_store_has_its_streams_again_after_the_start(make):
    server = make()
    await server.start()
    server.kill()
    server.wipe()
    await server.start()

    client = await admin(server)
    with pytest.raises(NotFoundError):
        await client.jetstream().get_msg("EVENTS_CATALOG", 1)
    await client.close()


async def test_one_that_was_left_running_is_ended_before_the_store_is_opened_again(make, tmp_path):
    left = make()
    await left.start()
    os.kill(left.process.pid, signal.SIGSTOP)

    server = make()
    await server.start()

    assert left.process.wait() == -signal.SIGKILL
    assert [p.pid for p in working_in((tmp_path / 'a "quoted" földer').resolve(), "nats-server")] == [
        server.process.pid
    ]


async def test_a_start_that_cannot_be_tells_the_servers_own_words(make, tmp_path):
    folder = tmp_path / 'a "quoted" földer'
    folder.mkdir()
    (folder / "store").write_text("no folder")

    with pytest.raises(NatsFailed, match="nats-server ended"):
        await make().start()


async def test_a_consumer_whose_state_a_power_cut_tore_begins_anew(make):
    server = make()
    await server.start()
    await server.stop()
    for state in server.store.glob("jetstream/*/streams/EVENTS_IDENTITY/obs/*"):
        (state / "o.dat").write_bytes(b"torn" * 8)

    await server.start()

    client = await admin(server)
    listeners = [info.name for info in await client.jetstream().consumers_info("EVENTS_IDENTITY")]
    assert sorted(listeners) == sorted(c.name for stream, c in consumers() if stream == "EVENTS_IDENTITY")
    await client.close()
