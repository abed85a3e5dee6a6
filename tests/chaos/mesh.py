"""Services as processes of their own on a stage, and clients that write to them over the bus."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

import asyncpg
import msgspec

from polis.bus.permissions import ADMIN
from polis.proto import Refused, identity
from polis.proto.contract import ce_type, event_type_of
from polis.proto.problems import InFlight, Overloaded
from polis.testing import eventually
from tests.chaos.broker import stored
from tests.chaos.history import UNKNOWN_PROBLEMS, History
from tests.chaos.processes import Process

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from polis.bus import Bus
    from polis.service import Caller
    from polis.testing import Stage
    from polis.testing.servers import PostgresServer

RETRY_S = 0.05
CLIENTS = 8
CALL_S = 5.0


class Mesh:
    """A stage with processes on it, and somebody who is signed in."""

    def __init__(self, stage: Stage, server: PostgresServer, folder: Path) -> None:
        assert stage.nats.embedded is not None
        assert server.embedded is not None
        self.stage = stage
        self.nats = stage.nats.embedded
        self.postgres = server.embedded
        self.processes: dict[str, Process] = {}
        self._folder = folder
        self.caller: Caller
        self.bus: Bus
        self.token = ""

    async def __aenter__(self) -> Self:
        self.caller = await self.stage.caller()
        self.bus = await self.stage.bus(ADMIN)
        return self

    async def __aexit__(self, *error: object) -> None:
        for process in self.processes.values():
            process.end()

    async def start(self, service: str, *, name: str = "", **settings: Any) -> Process:
        """Start one more process of a service, and wait until it is ready."""
        name = name or service
        process = Process(
            ["-m", f"polis.{service}"], self.stage.settings(service, **settings), self._folder / f"{name}.log"
        )
        self.processes[name] = process
        process.start()
        await process.ready()
        return process

    async def sign_up(self) -> None:
        session = await self.caller.call(
            identity.SignUp(email="ada@example.org", password="correct horse battery", name="Ada")
        )
        self.token = session.access_token

    async def call(self, request, *, key: str = "", timeout_s: float = CALL_S):
        return await self.caller.call(request, token=self.token, idempotency_key=key, timeout_s=timeout_s)

    async def rows(self, sql: str, *args: object) -> list[Any]:
        """Rows as the superuser sees them."""
        connection = await asyncpg.connect(self.stage.database.admin_url)
        try:
            return await connection.fetch(sql, *args)
        finally:
            await connection.close()

    async def orgs(self) -> list[str]:
        return [row["name"] for row in await self.rows("select name from identity.orgs")]

    async def told(self) -> list[str]:
        """The orgs that the stream tells of, once all that is committed has been published."""
        await eventually(self.published, within_s=30)
        await eventually(lambda: self.bus.connected, within_s=10)
        kind = ce_type("identity", event_type_of(identity.OrgCreated).fact)
        return [
            msgspec.json.decode(message.payload, type=identity.OrgCreated).org.name
            for message in await stored(self.bus, "EVENTS_IDENTITY")
            if message.headers["ce-type"] == kind
        ]

    async def published(self) -> bool:
        [row] = await self.rows(
            "select (select count(*) from identity.outbox)"
            " - (select coalesce(sum(cardinality(ns)), 0) from identity.published) as n"
        )
        return row["n"] == 0

    @asynccontextmanager
    async def load(self, history: History, *, clients: int = CLIENTS) -> AsyncIterator[Load]:
        """Clients at work for as long as the block lasts. Each comes to the end of what it has begun."""
        load = Load(self, history)
        async with asyncio.TaskGroup() as group:
            for number in range(clients):
                group.create_task(load.work(number))
            try:
                yield load
            finally:
                load.ended = True


class Load:
    """Clients that create orgs, each under a key of its own. The odd ones repeat what is unknown, the even ones leave it."""

    def __init__(self, mesh: Mesh, history: History) -> None:
        self._mesh = mesh
        self._history = history
        self._run = uuid4().hex
        self.ended = False

    async def work(self, client: int) -> None:
        count = 0
        while not self.ended:
            count += 1
            await self._write(f"{self._run}-{client}-{count}", repeats=client % 2 == 1)

    async def _write(self, name: str, *, repeats: bool) -> None:
        with self._history.invoke(name) as operation:
            while True:
                try:
                    await self._mesh.call(identity.CreateOrg(name=name), key=name)
                except Refused as refusal:
                    passing = isinstance(refusal.problem, (*UNKNOWN_PROBLEMS, InFlight, Overloaded))
                    if not repeats or not passing:
                        raise
                    operation.detail = refusal.problem.type
                    if self.ended:
                        raise TimeoutError(
                            operation.detail
                        ) from None  # an earlier attempt may have had its effect
                    await asyncio.sleep(RETRY_S)
                else:
                    return
        if operation.outcome != "ok":
            await asyncio.sleep(RETRY_S)

    async def more(self, count: int, *, within_s: float = 60.0) -> None:
        """Wait until so many more are acknowledged."""
        wanted = self._history.count("ok") + count
        await eventually(lambda: self._history.count("ok") >= wanted, within_s=within_s)
