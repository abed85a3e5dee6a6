"""A disk that was full for a while: what stands on it goes on by itself when there is room again."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import nats
import pytest
from rich.console import Console

from polis.bus.config import SYSTEM
from polis.bus.permissions import ADMIN, inbox_prefix
from polis.local import servers
from polis.local.board import Board
from polis.local.home import Home
from polis.local.nats import ROOM_BYTES, Nats
from polis.local.servers import Servers
from polis.proto.registry import SERVICES
from polis.testing import eventually

PASSWORDS = {name: f"pw-{name}" for name in (*(s.name for s in SERVICES), ADMIN, SYSTEM)}
FULL = Path("/dev/full")


@pytest.fixture
def disk(tmp_path):
    """A small one of its own, in memory."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("a small disk needs root, to mount one")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={ROOM_BYTES + (16 << 20)}", "tmpfs", place],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"a small disk needs a mount, and that says: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


@pytest.fixture
async def broker(disk, tmp_path):
    server = Nats(disk / "nats", passwords=PASSWORDS, log=tmp_path / "log")
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def client(broker):
    client = await nats.connect(
        broker.url,
        user=ADMIN,
        password=PASSWORDS[ADMIN],
        inbox_prefix=inbox_prefix(ADMIN),
        reconnect_time_wait=0.1,
    )
    yield client
    await client.close()


@pytest.fixture
async def shown(broker, tmp_path, monkeypatch):
    """What is shown of it while it is kept running."""
    monkeypatch.setattr(servers, "HEAL_S", 0.1)
    shown = []
    kept = Servers(
        Home(tmp_path / "home"), {}, show=lambda *what: shown.append(what), started=lambda *_: None
    )
    kept.nats = broker
    keeping = asyncio.create_task(kept.keep())
    yield shown
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


def fill(file):
    with file.open("wb", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(bytes(1 << 20))


async def is_stored(client):
    try:
        await client.jetstream(timeout=1).publish("event.catalog.version_published.o.e", bytes(100_000))
    except (nats.errors.Error, TimeoutError):
        return False
    return True


async def test_a_stream_that_had_no_room_takes_events_again_without_hands(broker, client, disk, shown):
    first = broker.process

    fill(disk / "filler")
    assert not await is_stored(client)
    await eventually(lambda: shown and shown[-1][:2] == ("nats", "unready"), within_s=20)
    assert broker.process is first

    (disk / "filler").unlink()
    await eventually(lambda: is_stored(client), within_s=40)
    assert shown[-1][:2] == ("nats", "ready")


@pytest.mark.skipif(not FULL.exists(), reason=f"there is no {FULL} here")
def test_what_the_supervisor_cannot_say_does_not_end_the_mesh():
    with FULL.open("wb", buffering=0) as full:
        board = Board(Console(file=io.TextIOWrapper(full, write_through=True)))

        assert board.show("nats", "failed", "no space left on device")
