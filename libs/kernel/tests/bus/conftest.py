"""A real nats-server for the tests of the bus, and one of a test's own that it may kill, freeze and start again."""

from __future__ import annotations

import os
import signal
import subprocess
import sysconfig
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from polis.bus import Bus
from polis.local.ports import free_port

NATS_SERVER = Path(sysconfig.get_path("scripts")) / "nats-server"


class Broker:
    """A nats-server that keeps its port when it is started again. `options` come instead of plain JetStream."""

    def __init__(self, folder: Path, *options: str, port: int | None = None) -> None:
        self.store = folder / "store"
        self.port = port or free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self.options = options or ("-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", str(self.store))
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen([NATS_SERVER, *self.options], stderr=subprocess.DEVNULL)

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


Start = Callable[..., Broker]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts servers with options of the test's own."""
    started: list[Broker] = []

    def start(*options: str, port: int | None = None) -> Broker:
        started.append(Broker(tmp_path, *options, port=port))
        return started[-1]

    yield start
    for broker in started:
        broker.kill()


@pytest.fixture(scope="session")
def shared_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    broker = Broker(tmp_path_factory.mktemp("nats"))
    yield broker
    broker.kill()


@pytest.fixture
def broker(start: Start) -> Broker:
    return start()


Connect = Callable[..., Awaitable[Bus]]


@pytest.fixture
async def connect(shared_broker: Broker) -> AsyncIterator[Connect]:
    """Makes connections, by default to the shared server, and closes them at the end."""
    made: list[Bus] = []

    async def connect(url: str = shared_broker.url, **options) -> Bus:
        made.append(await Bus.connect(url, name="test", **options))
        return made[-1]

    yield connect
    for bus in made:
        await bus.close()
