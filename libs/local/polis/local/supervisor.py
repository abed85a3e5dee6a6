"""Starts the mesh, keeps it running, and ends it: PostgreSQL and NATS, then every service as its own process."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from polis.local import mesh
from polis.local.children import end_left_over, identify
from polis.local.failures import CannotStart, in_words
from polis.local.home import Home, State
from polis.local.keeper import Keeper
from polis.local.ports import LOOPBACK, free_port, holder, port_free
from polis.local.rotation import bound
from polis.local.servers import POSTGRESQL, Servers
from polis.proto.registry import SERVICES, ServiceEntry

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Sequence

    from polis.local.board import Board

READY_S = 60.0
"""After this it is said that the mesh is not ready, and why; nothing is ended for it."""
STOP_S = 9.0
"""Everything has to be down in ten."""
_GATEWAY_STOP_S, _SERVICES_STOP_S = 2.0, 4.0
_LEFT_OVER_S = 2.5
_ENDS = {POSTGRESQL: signal.SIGINT}


class Supervisor:
    """One mesh in one folder, from `run` until `stopping` is set. `command` makes a service's command line."""

    def __init__(
        self,
        home: Home,
        board: Board,
        services: Sequence[ServiceEntry] = SERVICES,
        command: Callable[[ServiceEntry], list[str]] = mesh.command_of,
    ) -> None:
        self.home = home
        self.board = board
        self.stopping = asyncio.Event()
        self._services = services
        self._command = command
        self._settings = mesh.own_settings()
        self._host = self._settings.get("POLIS_HOST", LOOPBACK)
        self._servers = Servers(home, self._settings, show=self._show, started=self._record)
        self._keepers: dict[str, Keeper] = {}
        self._state = State(supervisor=identify(os.getpid()), address="")
        self._unsaved = False

    async def run(self) -> int:
        """Start everything, watch it until told to stop, end it; the exit code."""
        try:
            async with asyncio.TaskGroup() as group:
                work = [group.create_task(w) for w in (self._live(), bound(self.home.logs))]
                await self.stopping.wait()
                for task in work:
                    task.cancel()
        except Exception as error:  # noqa: BLE001 - whatever it was: what was started has to be ended, and it has to be said
            self._fail(in_words(error))
            self.board.say(f"cannot start: {self._state.failure}")
        await self._stop()
        return 1 if self._state.failure and not self._state.ready else 0

    async def _live(self) -> None:
        began = time.monotonic()
        await self._end_left_overs()
        self._choose_ports()
        addresses = await self._servers.start(mesh.owners(self._services))
        async with asyncio.TaskGroup() as group:
            group.create_task(self._servers.keep())
            for service in self._services:
                if service.name in self._servers.failures:
                    self._show(service.name, "failed", self._servers.failures[service.name])
                else:
                    group.create_task(self._keeper(service, addresses).run())
            await self._say_when_ready(began)

    # Start

    async def _end_left_overs(self) -> None:
        """What a killed supervisor has left: the kernel told it to end; here it is waited for."""
        before = self.home.state()
        self._state.children = before.children if before is not None else {}
        self._save()
        await asyncio.gather(
            *(
                end_left_over(left, _ENDS.get(name, signal.SIGTERM), within_s=_LEFT_OVER_S)
                for name, left in self._state.children.items()
            )
        )
        self._state.children = {}

    def _choose_ports(self) -> None:
        for service in self._services:
            host, port = self._host_of(service), service.port
            if service.name == mesh.GATEWAY:
                port = int(self._settings.get("POLIS_PORT", port))
                _check_port(host, port)
            self._state.ports[service.name] = port
        self._state.address = self._front().address
        self._save()

    def _place(self, service: ServiceEntry) -> tuple[str, int]:
        """The gateway's is where people look for it; others move aside when theirs is taken, at each start of theirs."""
        if service.name != mesh.GATEWAY and not port_free(self._state.ports[service.name]):
            self._state.ports[service.name] = free_port()
            self._save()
        return self._host_of(service), self._state.ports[service.name]

    def _keeper(self, service: ServiceEntry, addresses: mesh.Addresses) -> Keeper:
        keeper = Keeper(
            service.name,
            self._command(service),
            place=lambda: self._place(service),
            environment=lambda place: mesh.environment_of(
                service, self.home, addresses, place=place, front=self._front()
            ),
            log=self.home.log(service.name),
            show=self._show,
            started=self._record,
            tls=service.name == mesh.GATEWAY and self._front().tls,
        )
        self._keepers[service.name] = keeper
        return keeper

    def _front(self) -> mesh.Front:
        return mesh.front(self._host, self._state.ports.get(mesh.GATEWAY, 0))

    def _host_of(self, service: ServiceEntry) -> str:
        return self._host if service.name == mesh.GATEWAY else LOOPBACK

    async def _say_when_ready(self, began: float) -> None:
        missing = await self._missing()
        if missing:
            self._fail(missing)
            self.board.say(f"not ready: {missing}; logs are in {self.home.logs}")
        if self._servers.failures:
            return
        for keeper in self._keepers.values():
            await keeper.ready.wait()
        self._state.ready, self._state.failure = True, ""
        self._state.ready_after_s = round(time.monotonic() - began, 2)
        self._save()
        self.board.say(f"ready after {self._state.ready_after_s:.1f} s at {self._state.address}")
        self._tell_administrator()

    async def _missing(self) -> str:
        """What keeps the mesh from being ready, once that is clear or time is up; empty when nothing does."""
        with suppress(TimeoutError):
            async with asyncio.timeout(READY_S):
                await asyncio.gather(*(keeper.settled() for keeper in self._keepers.values()))
        waiting = [name for name, keeper in self._keepers.items() if not keeper.ready.is_set()]
        return "; ".join(
            f"{name}: {self.board.parts[name][1]}" for name in (*self._servers.failures, *waiting)
        )

    def _tell_administrator(self) -> None:
        if self.home.administrator_link.exists():
            link = self.home.administrator_link.read_text(encoding="utf-8").strip()
            self.board.say(f"there is no administrator yet; this link makes one, once: {link}")

    # Stop

    async def _stop(self) -> None:
        """The gateway first, then what answers it, then what that stands on."""
        end = time.monotonic() + STOP_S
        gateway = self._keepers.pop(mesh.GATEWAY, None)
        if gateway is not None:
            await gateway.stop(_GATEWAY_STOP_S)
        await asyncio.gather(*(k.stop(_SERVICES_STOP_S) for k in self._keepers.values()))
        await self._servers.stop(end)
        self._state.children.clear()
        self._save()

    # The record

    def _show(self, part: str, state: str, detail: str) -> None:
        if self.board.show(part, state, detail):
            self._state.parts = self.board.parts
            self._save()

    def _record(self, name: str, process: subprocess.Popen[bytes]) -> None:
        self._state.children[name] = identify(process.pid)
        self._state.postgres_port = self._servers.postgres.port if self._servers.postgres else 0
        self._state.nats_port = self._servers.nats.port if self._servers.nats else 0
        self._save()

    def _fail(self, why: str) -> None:
        self._state.failure = why
        self._save()

    def _save(self) -> None:
        """A full disk takes the record of the mesh, not the mesh."""
        try:
            self.home.save(self._state)
        except OSError as error:
            if not self._unsaved:
                self.board.say(f"what runs cannot be recorded: {in_words(error)}")
            self._unsaved = True
        else:
            self._unsaved = False


def _check_port(host: str, port: int) -> None:
    try:
        free = port_free(port, host)
    except OSError as error:
        raise CannotStart(f"port {port} of {host} cannot be listened on: {error.strerror}") from error
    if not free:
        raise CannotStart(f"port {port} is taken by {holder(port)}; POLIS_PORT=<number> chooses another one")
