"""A real nats-server for the tests of the bus, and a way to stop, freeze and start it again."""

from __future__ import annotations

import signal
import socket
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

BINARY = Path(sysconfig.get_path("scripts")) / "nats-server"


class Broker:
    """One nats-server on a port that stays the same when it is started again."""

    def __init__(self, folder: Path, config: str = "") -> None:
        self.folder = folder
        self.config = config
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        options = ["-a", "127.0.0.1", "-p", str(self.port)]
        if self.config:
            path = self.folder / "nats.conf"
            path.write_text(self.config)
            options += ["-c", str(path)]
        else:
            options += ["-js", "-sd", str(self.folder / "store")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([BINARY, *options], stderr=log)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()


@pytest.fixture(scope="session")
def shared_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    broker = Broker(tmp_path_factory.mktemp("nats"))
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture
def nats_url(shared_broker: Broker) -> str:
    return shared_broker.url


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A server of the test's own, for faults."""
    broker = Broker(tmp_path)
    broker.start()
    yield broker
    broker.kill()
