"""A small mesh inside the test's process: a database and a broker of its own, and the services that a test starts on it."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from contextlib import AsyncExitStack
from importlib import import_module
from typing import TYPE_CHECKING, Any, Self

from polis.bus import Bus
from polis.bus.permissions import ADMIN, inbox_prefix
from polis.service import Caller, Running, Secret, serving
from polis.testing.actors import Actors
from polis.testing.servers import NatsServer, PostgresServer, nats_server
from polis.testing.turns import in_turns

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from polis.testing.servers import Database

CALL_TIMEOUT_S = 20.0


class Stage:
    """Services, buses and callers on one database and one broker, ended together. replicas: of each service that is started."""

    def __init__(self, server: PostgresServer, *, broker_in: Path | None = None, replicas: int = 1) -> None:
        self._server = server
        self._replicas = replicas
        self._broker_in = broker_in
        self._stack = AsyncExitStack()
        self._mesh_secret = secrets.token_hex(32)
        self.database: Database
        self.nats: NatsServer
        self.running: dict[str, Running] = {}

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self.database = await stack.enter_async_context(self._server.database())
            self.nats = await stack.enter_async_context(nats_server(self._broker_in))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def settings(self, name: str, **changes: Any) -> Any:
        """The settings of a service on this stage."""
        service = import_module(f"polis.{name}.service").service
        given: dict[str, Any] = {
            "nats_url": self.nats.url,
            "credential": Secret(self.credential(name)),
        }
        if self.nats.passwords:
            given |= {"nats_user": name, "nats_password": Secret(self.nats.passwords[name])}
        if f"app_{name}" in self._server.passwords:
            given["postgres_url"] = Secret(self.database.url(f"app_{name}"))
        if name == "identity":
            given |= {"mesh_secret": Secret(self._mesh_secret), "sign_up": "open"}
            given |= dict.fromkeys(_UNGUARDED, 1_000_000)
        if name == "gateway":
            given |= {"port": 0} | dict.fromkeys(_GENEROUS, 1_000_000)
        return service.settings(**(given | changes))

    def credential(self, name: str) -> str:
        return hmac.new(self._mesh_secret.encode(), name.encode(), hashlib.sha256).hexdigest()

    async def start(self, name: str, **changes: Any) -> Running:
        """Serve a service in this process until the stage ends; once more with other settings is another replica."""
        service = import_module(f"polis.{name}.service").service
        settings = self.settings(name, **changes)
        replicas = [
            await self._stack.enter_async_context(serving(service, settings)) for _ in range(self._replicas)
        ]
        running = replicas[0]
        if name == "gateway" and len(replicas) > 1:
            port = await self._stack.enter_async_context(in_turns([each.port for each in replicas]))
            running = Running(running.kernel, port)
        self.running[name] = running
        return running

    async def bus(self, user: str = "gateway") -> Bus:
        """A bus of a user: the gateway's may call whatever is public, the admin's anything."""
        known = user if self.nats.passwords else None
        bus = await Bus.connect(
            self.nats.url,
            name=f"test-{user}",
            user=known,
            password=self.nats.passwords.get(user),
            inbox_prefix=inbox_prefix(user),
        )
        self._stack.push_async_callback(bus.close)
        return bus

    async def caller(self, user: str = "gateway") -> Caller:
        return Caller(await self.bus(user), timeout_s=CALL_TIMEOUT_S)

    async def actors(self) -> Actors:
        """Principals whose identity is played, for tests of one service alone."""
        bus = await self.bus(ADMIN)
        actors = Actors(Caller(bus, timeout_s=CALL_TIMEOUT_S))
        await actors.play(bus)
        return actors


_GENEROUS = (
    *("principal_rate", "principal_burst", "address_rate", "address_burst"),
    *("credentials_rate", "credentials_burst", "hooks_rate", "hooks_burst", "sockets_per_principal"),
)
_UNGUARDED = ("sign_in_burst", "address_burst", "code_burst", "forgotten_burst")
"""Limits that only their own tests care about."""
