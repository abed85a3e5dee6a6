"""Starts the mesh, keeps it running, and ends it: PostgreSQL, NATS, migrations, then every service as its own process."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from polis.bus import BusError
from polis.bus.admin import declare
from polis.db.migrate import MigrationRefused
from polis.local import mesh
from polis.local.children import end_left_over, identify, spawn, stop
from polis.local.home import Home, State, free_port, port_free
from polis.local.logfile import pump
from polis.local.nats import Nats, NatsFailed
from polis.local.postgres import Postgres, PostgresFailed
from polis.proto.registry import SERVICES, ServiceEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from polis.local.board import Board

READY_S = 60.0
"""A service that has not said it is ready after this is shown as failed; it is not ended."""
STOP_S = 9.0
_HEALTHY_S = 30.0
"""A service that ran this long starts its backoff anew."""
_BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_POLL_S = 0.1
_LEFT_OVER_S = 12.0


class CannotStart(Exception):
    """Something on this machine keeps the mesh from running; the message says what, in plain words."""


class Supervisor:
    """One mesh in one folder, from `start` to `stop`."""

    def __init__(self, home: Home, board: Board, services: Sequence[ServiceEntry] = SERVICES) -> None:
        self.home = home
        self.board = board
        self.stopping = asyncio.Event()
        self._services = services
        self._settings = mesh.own_settings()
        self._host = self._settings.get("POLIS_HOST", "127.0.0.1")
        self._postgres: Postgres | None = None
        self._nats: Nats | None = None
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._state = State(supervisor=identify(os.getpid()), address="")

    async def run(self) -> int:
        """Start everything, watch it until told to stop, end it; the exit code."""
        started = time.monotonic()
        try:
            await self._start()
        except Exception as error:  # noqa: BLE001 - whatever it was, what was started has to be ended, and it has to be said
            self._state.failure = _in_words(error)
            self.board.say(f"cannot start: {self._state.failure}")
            await self._stop()
            return 1
        if not self.stopping.is_set():
            self._state.ready = True
            self._save()
            self.board.say(f"ready after {time.monotonic() - started:.1f} s at {self._state.address}")
            self._tell_administrator()
        await self.stopping.wait()
        await self._stop()
        return 0

    # Start

    async def _start(self) -> None:
        await self._end_left_overs()
        self._ports()
        addresses = await self._servers()
        for service in self._services:
            self.board.show(service.name, "waiting")
        for service in self._services:
            self._watch(self._keep(service, addresses), f"keep {service.name}")
        await self._until_ready()

    def _ports(self) -> None:
        given = self._settings.get("POLIS_PORT")
        for service in self._services:
            fixed = service.name == mesh.GATEWAY
            port = int(given) if fixed and given else service.port
            if not port_free(port, self._host if fixed else "127.0.0.1"):
                if fixed:
                    raise CannotStart(
                        f"port {port} is taken by another program; POLIS_PORT chooses another one"
                    )
                port = free_port()
            self._state.ports[service.name] = port
        self._state.address = f"http://{self._host}:{self._state.ports.get(mesh.GATEWAY, 0)}"
        self._save()

    async def _servers(self) -> mesh.Addresses:
        """PostgreSQL and NATS, ours or the user's, prepared for the services."""
        own_url = self._settings.get("POLIS_POSTGRES_URL", "")
        async with asyncio.TaskGroup() as group:
            nats = group.create_task(self._broker())
            group.create_task(self._external_database(own_url) if own_url else self._embedded_database())
        app_url = _role_url(own_url) if own_url else self._embedded.url
        return mesh.Addresses(nats_url=nats.result(), nats_users=self._nats is not None, app_url=app_url)

    @property
    def _embedded(self) -> Postgres:
        assert self._postgres is not None  # noqa: S101 - only asked for when it was started
        return self._postgres

    async def _embedded_database(self) -> None:
        self.board.show("postgresql", "starting")
        self._postgres = Postgres(
            self.home.root / "postgres",
            password=self.home.secret("postgres"),
            log=self.home.logs / "postgresql.log",
        )
        await self._postgres.start()
        self._state.postgres_port = self._postgres.port
        self._adopt("postgresql", self._postgres.process)
        applied = await mesh.prepare_embedded(self.home, self._postgres)
        self.board.show("postgresql", "ready", f"{len(applied)} migrations applied" if applied else "")
        self._watch(self._keep_postgres(), "keep postgresql")

    async def _external_database(self, url: str) -> None:
        self.board.show("postgresql", "starting", "external")
        try:
            await mesh.prepare_database(self.home, url, _role_url(url))
        except OSError as error:
            raise CannotStart(f"PostgreSQL at {urlsplit(url).hostname} cannot be reached: {error}") from error
        self.board.show("postgresql", "ready", "external")

    async def _broker(self) -> str:
        url = self._settings.get("POLIS_NATS_URL", "")
        if url:
            try:
                await declare(url, urlsplit(url).username or "", urlsplit(url).password or "")
            except (OSError, BusError) as error:
                raise CannotStart(f"NATS at {urlsplit(url).hostname} cannot be reached: {error}") from error
            self.board.show("nats", "ready", "external")
            return url
        self.board.show("nats", "starting")
        self._nats = Nats(
            self.home.root / "nats", passwords=mesh.nats_passwords(self.home), log=self.home.logs / "nats.log"
        )
        await self._nats.start()
        self._state.nats_port = self._nats.port
        self._adopt("nats", self._nats.process)
        self.board.show("nats", "ready")
        self._watch(self._keep_nats(), "keep nats")
        return self._nats.url

    async def _end_left_overs(self) -> None:
        """What a supervisor that was killed has left: the kernel told it to end, and this waits until it has."""
        before = self.home.state()
        if before is None:
            return
        for name, left in before.children.items():
            number = signal.SIGINT if name == "postgresql" else signal.SIGTERM
            await end_left_over(left, number=number, within_s=_LEFT_OVER_S)

    async def _until_ready(self) -> None:
        end = time.monotonic() + READY_S
        waiting = {service.name for service in self._services}
        while waiting and not self.stopping.is_set():
            for name in tuple(waiting):
                if await _ready(self._state.ports[name], self._host if name == mesh.GATEWAY else "127.0.0.1"):
                    waiting.discard(name)
                    self.board.show(name, "ready", self._where(name))
            if waiting and time.monotonic() > end:
                raise CannotStart(
                    f"not ready after {READY_S:g} s: {', '.join(sorted(waiting))}; see {self.home.logs}"
                )
            await asyncio.sleep(_POLL_S if waiting else 0)

    # Keep

    async def _keep(self, service: ServiceEntry, addresses: mesh.Addresses) -> None:
        """Run a service, and run it again with growing pauses whenever it ends by itself."""
        attempt = 0
        while not self.stopping.is_set():
            started = time.monotonic()
            process = self._spawn(service, addresses)
            self.board.show(service.name, "starting")
            if attempt:
                self._watch(self._show_when_ready(service.name, process), f"ready {service.name}")
            code = await _ended(process)
            if self.stopping.is_set():
                return
            attempt = 0 if time.monotonic() - started > _HEALTHY_S else attempt
            pause = _BACKOFF_S[min(attempt, len(_BACKOFF_S) - 1)]
            attempt += 1
            self.board.show(
                service.name, "failed", f"ended with {code}, starts again in {pause:g} s; see its log"
            )
            await asyncio.sleep(pause)

    def _spawn(self, service: ServiceEntry, addresses: mesh.Addresses) -> subprocess.Popen[bytes]:
        host = self._host if service.name == mesh.GATEWAY else "127.0.0.1"
        port = self._state.ports[service.name]
        environment = mesh.environment_of(
            service, self.home, addresses, host=host, port=port, address=self._state.address
        )
        process = spawn(mesh.command_of(service), env=environment, stdout=subprocess.PIPE)
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        self._watch(pump(process.stdout, self.home.logs / f"{service.name}.log"), f"log {service.name}")
        self._adopt(service.name, process)
        return process

    async def _show_when_ready(self, name: str, process: subprocess.Popen[bytes]) -> None:
        host = self._host if name == mesh.GATEWAY else "127.0.0.1"
        while process.poll() is None:
            if await _ready(self._state.ports[name], host):
                self.board.show(name, "ready", self._where(name))
                return
            await asyncio.sleep(_POLL_S)

    async def _keep_postgres(self) -> None:
        postgres = self._embedded
        while postgres.process is not None:
            code = await _ended(postgres.process)
            if self.stopping.is_set():
                return
            self.board.show("postgresql", "failed", f"ended with {code}, starts again")
            try:
                await postgres.start(postgres.port)
            except PostgresFailed as failure:
                self.board.show("postgresql", "failed", str(failure))
                await asyncio.sleep(_BACKOFF_S[-1])
                continue
            self._adopt("postgresql", postgres.process)
            self.board.show("postgresql", "ready")

    async def _keep_nats(self) -> None:
        nats = self._nats
        while nats is not None and nats.process is not None:
            code = await _ended(nats.process)
            if self.stopping.is_set():
                return
            self.board.show("nats", "failed", f"ended with {code}, starts again")
            try:
                await nats.start()
            except (NatsFailed, OSError, BusError) as failure:
                self.board.show("nats", "failed", str(failure))
                await asyncio.sleep(_BACKOFF_S[-1])
                continue
            self._adopt("nats", nats.process)
            self.board.show("nats", "ready")

    # Stop

    async def _stop(self) -> None:
        """Services first, since they drain through the servers; then NATS, then PostgreSQL."""
        self.stopping.set()
        services = {n: p for n, p in self._processes.items() if n not in ("postgresql", "nats")}
        for name in services:
            self.board.show(name, "stopping")
        await asyncio.gather(*(self._end(name, process) for name, process in services.items()))
        if self._nats is not None:
            await self._nats.stop()
            self.board.show("nats", "stopped")
        if self._postgres is not None:
            await self._postgres.stop()
            self.board.show("postgresql", "stopped")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._state.children.clear()
        self._state.ready = False
        self._save()

    async def _end(self, name: str, process: subprocess.Popen[bytes]) -> None:
        by_itself = await stop(process, signal.SIGTERM, within_s=STOP_S)
        self.board.show(name, "stopped", "" if by_itself else "had to be killed")

    # Bookkeeping

    def _adopt(self, name: str, process: subprocess.Popen[bytes] | None) -> None:
        if process is not None:
            self._processes[name] = process
            self._state.children[name] = identify(process.pid)
            self._save()

    def _save(self) -> None:
        self.home.save(self._state)

    def _watch(self, work: Coroutine[object, object, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._watched)

    def _watched(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.board.say(f"{task.get_name()}: {error!r}")

    def _where(self, name: str) -> str:
        return self._state.address if name == mesh.GATEWAY else f"port {self._state.ports[name]}"

    def _tell_administrator(self) -> None:
        if self.home.administrator_link.exists():
            link = self.home.administrator_link.read_text(encoding="utf-8").strip()
            self.board.say(f"there is no administrator yet; this link makes one, once: {link}")


def _role_url(url: str) -> Callable[[str, str], str]:
    """Makes URLs of other roles on the same server and database."""
    parts = urlsplit(url)

    def with_role(role: str, password: str) -> str:
        port = f":{parts.port}" if parts.port else ""
        return urlunsplit(parts._replace(netloc=f"{role}:{password}@{parts.hostname}{port}"))

    return with_role


def _in_words(error: BaseException) -> str:
    """The first cause, in words; the class too where the words alone would not tell."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, (CannotStart, PostgresFailed, NatsFailed, MigrationRefused)):
        return str(error)
    return f"{type(error).__name__}: {error}"


async def _ended(process: subprocess.Popen[bytes]) -> int:
    while (code := process.poll()) is None:
        await asyncio.sleep(_POLL_S)
    return code


async def _ready(port: int, host: str) -> bool:
    """Whether `/health/ready` answers 200, within a second."""
    host = "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104 - a comparison
    try:
        async with asyncio.timeout(1.0):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                return b" 200 " in await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
