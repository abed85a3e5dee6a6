"""Events on their whole way: committed by writers, published by a relay process, taken by a consumer process.

Each event is one number of one entity; its effect is one row. The consumer is started again whenever it has ended.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

import asyncpg
import msgspec

from polis.bus import BusError
from polis.bus.api import Answer, call
from polis.bus.jetstream import Log
from polis.bus.permissions import ADMIN
from polis.db import Database
from polis.proto.identity import AgentDeleted
from polis.service.config import Settings
from polis.service.relay import POLL_S
from polis.testing import eventually
from tests.chaos.broker import Stored, stored
from tests.chaos.history import History, disordered, violations
from tests.chaos.member import Part
from tests.chaos.processes import Process

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from polis.bus import Bus
    from polis.testing import Stage
    from polis.testing.servers import PostgresServer

STREAM = "EVENTS_IDENTITY"
DURABLE = "runtime_identity"
ENTITIES = 8
_SCRIPT = Path(__file__).with_name("member.py")
_ROOT = Path(__file__).parents[2]
_PACE_S = 0.02
_LOOK_S = 0.1
"""Between two looks at all rows, which take their time."""
_FOREVER_S = 3600.0
_TABLE = """
create table runtime.effects (
    n bigint generated always as identity, number bigint not null, entity bigint not null,
    at timestamptz not null default clock_timestamp()
);
grant insert on runtime.effects to app_runtime;
"""


class _Place(msgspec.Struct, frozen=True):
    consumer_seq: int = 0
    stream_seq: int = 0


class _Owed(Answer, frozen=True):
    num_pending: int = 0
    num_ack_pending: int = 0
    num_redelivered: int = 0
    num_waiting: int = 0
    delivered: _Place = _Place()
    ack_floor: _Place = _Place()


_owed = msgspec.json.Decoder(_Owed)


class Flow:
    """Writers in this process, the rest in others. `history` is what the writers were told."""

    def __init__(self, stage: Stage, server: PostgresServer, folder: Path) -> None:
        assert stage.nats.embedded is not None
        assert server.embedded is not None
        self.stage = stage
        self.nats = stage.nats.embedded
        self.postgres = server.embedded
        self.history = History()
        self.sent = 0
        self.bus: Bus
        self.database: Database
        self.crashes = 0
        self._folder = folder
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self.bus = await self.stage.bus(ADMIN)
        url = self.stage.database.url("app_identity")
        self.database = await Database.open(url, service="identity", size=ENTITIES)
        self._stack.push_async_callback(self.database.close)
        await self.execute(_TABLE)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    def start(self, part: str, **options: Any) -> Process:
        """A process of the flow; ended with it."""
        process = self._process(Part(part, **options), part)
        process.start()
        self._stack.callback(process.end)
        return process

    def _process(self, part: Part, name: str) -> Process:
        service = {"relay": "identity", "inbox": "runtime"}[part.part]
        full = self.stage.settings(service)
        settings = Settings(**{n: getattr(full, n) for n in Settings.__struct_fields__})
        command = [str(_SCRIPT), msgspec.json.encode(part).decode()]
        return Process(command, settings, self._folder / f"{name}.log")

    async def keep(self, part: str, **options: Any) -> Keeper:
        """A process of the flow that is started again when it has ended, with other luck each time."""
        keeper = Keeper(self, Part(part, **options))
        task = asyncio.create_task(keeper.run())
        self._stack.push_async_callback(keeper.end, task)
        return keeper

    # Writing

    @asynccontextmanager
    async def writing(self, entities: int = ENTITIES) -> AsyncIterator[Self]:
        """One writer for each entity, at work for as long as the block lasts."""
        ended = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for entity in range(1, entities + 1):
                group.create_task(self._write(entity, ended))
            try:
                yield self
            finally:
                ended.set()

    async def _write(self, entity: int, ended: asyncio.Event) -> None:
        while not ended.is_set():
            if await self.emit(entity) != "ok":
                await asyncio.sleep(_PACE_S)
            await asyncio.sleep(0)

    async def emit(self, entity: int) -> str:
        """One event; what its writer was told."""
        self.sent += 1
        number = self.sent
        with self.history.invoke(str(number)) as operation:
            async with self.database.transaction([UUID(int=number)]) as tx:
                await tx.emit(AgentDeleted(UUID(int=number), UUID(int=entity)))
        return operation.outcome

    async def emitted(self, count: int) -> None:
        """So many events, one after the other."""
        for number in range(count):
            assert await self.emit(number % ENTITIES + 1) == "ok"

    async def more(self, count: int, *, within_s: float = 60.0) -> None:
        """Wait until so many more events are acknowledged."""
        wanted = self.history.count("ok") + count
        await eventually(lambda: self.history.count("ok") >= wanted, within_s=within_s)

    # Reading

    async def fetch(self, sql: str, *args: object) -> list[Any]:
        connection = await asyncpg.connect(self.stage.database.admin_url)
        try:
            return await connection.fetch(sql, *args)
        finally:
            await connection.close()

    async def execute(self, sql: str) -> None:
        connection = await asyncpg.connect(self.stage.database.admin_url)
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    async def effects(self) -> list[str]:
        return [
            str(row["number"]) for row in await self.fetch("select number from runtime.effects order by n")
        ]

    async def epoch(self) -> int:
        rows = await self.fetch("select epoch from identity.relay where stream = $1", STREAM)
        return rows[0]["epoch"] if rows else 0

    async def pending(self) -> int:
        """Committed events that the relay has not recorded as published."""
        [row] = await self.fetch(
            "select (select count(*) from identity.outbox)"
            " - (select coalesce(sum(cardinality(ns)), 0) from identity.published) as n"
        )
        return row["n"]

    async def settled(self, *, within_s: float = 30.0) -> None:
        """Wait until everything that was committed is published and has its effect, for as long as that may take."""
        seen: dict[int, tuple[int, int]] = {}
        begun = time.monotonic()

        async def look():
            [row] = await self.fetch(
                "select (select count(*) from identity.outbox)"
                " - (select coalesce(sum(cardinality(ns)), 0) from identity.published) as p,"
                " (select count(*) from identity.outbox) - (select count(distinct number) from runtime.effects) as e"
            )
            seen[int(time.monotonic() - begun)] = row["p"], row["e"]
            return row["p"] == 0 and row["e"] <= 0

        try:
            await eventually(look, within_s=within_s)
        except AssertionError as late:
            owed = await call(self.bus, f"CONSUMER.INFO.{STREAM}.{DURABLE}", b"", _owed)
            held = await Log(self.bus, STREAM).info()
            told = f"by the second, what is unpublished and what has no effect: {seen}; {owed}; {held}"
            raise AssertionError(told) from late

    async def caught_up(self, *, still_s: float = 30.0) -> None:
        """Wait until all that was committed has its effect; how long that takes is up to the machine, headway is not."""
        least, since = await self._without_effect(), time.monotonic()

        async def look():
            nonlocal least, since
            await asyncio.sleep(_LOOK_S)
            left = await self._without_effect()
            if left < least:
                least, since = left, time.monotonic()
            assert time.monotonic() - since < still_s, f"no headway in {still_s:g} s: {left} have no effect"
            return left <= 0

        await eventually(look, within_s=_FOREVER_S)

    async def _without_effect(self) -> int:
        sql = "select (select count(*) from identity.outbox) - (select count(distinct number) from runtime.effects)"
        [row] = await self.fetch(sql)
        return row[0]

    async def published(self, *, within_s: float = 30.0) -> None:
        async def look():
            return await self.pending() == 0

        await eventually(look, within_s=within_s)

    async def repaired(self, *, epoch: int, within_s: float = 30.0) -> None:
        """Wait until the relay has begun this epoch and published everything in it."""

        async def look():
            return await self.epoch() >= epoch and await self.pending() == 0

        await eventually(look, within_s=within_s)

    async def has_effects(self, count: int, *, within_s: float = 60.0) -> None:
        async def look():
            return len(set(await self.effects())) >= count

        await eventually(look, within_s=within_s)

    async def consumed(self, *, within_s: float) -> None:
        """Wait until the broker owes the consumer nothing and the consumer owes it no acknowledgement."""

        async def look():
            try:
                info = await call(self.bus, f"CONSUMER.INFO.{STREAM}.{DURABLE}", b"", _owed)
            except BusError:
                return False
            return not info.num_pending and not info.num_ack_pending

        await eventually(look, within_s=within_s)

    async def stored_count(self) -> int:
        await self.connected()
        return (await Log(self.bus, STREAM).info()).messages

    async def has_stored(self, count: int) -> None:
        async def look():
            return await self.stored_count() >= count

        await eventually(look, within_s=30)

    async def recorded(self) -> int:
        """Where the relay believes the stream to stand: it tells a loss by that alone."""
        rows = await self.fetch("select last_seq from identity.relay where stream = $1", STREAM)
        return rows[0]["last_seq"] if rows else 0

    async def has_recorded(self, seq: int) -> None:
        async def look():
            return await self.recorded() >= seq

        await eventually(look, within_s=30)

    async def unmoved(self, looks: int = 5) -> None:
        """Wait until the stream has not grown for as long as the relay takes to look again, some times over."""
        before, same = -1, 0

        async def look():
            nonlocal before, same
            count = await self.stored_count()
            same = same + 1 if count == before else 0
            before = count
            await asyncio.sleep(POLL_S / 2)
            return same >= looks

        await eventually(look, within_s=30)

    async def ids(self) -> dict[int, str]:
        """The id of each event, by its number."""
        rows = await self.fetch("select org_id, id from identity.outbox")
        return {row["org_id"].int: str(row["id"]) for row in rows}

    async def stream(self) -> list[Stored]:
        await self.connected()
        return await stored(self.bus, STREAM)

    async def connected(self) -> None:
        """Wait until this test is back on a broker that was started again."""
        await eventually(lambda: self.bus.connected, within_s=10)

    async def check(self) -> dict[str, list[str]]:
        """Every violation of what the writers were told, in the effects and in the stream."""
        found = {f"effects {k}": v for k, v in violations(self.history, await self.effects()).items()}
        return found | await self.check_stream()

    async def check_stream(self) -> dict[str, list[str]]:
        """Each acknowledged event once in the stream, those of one entity in the order in which they were written."""
        numbers: list[str] = []
        sequences: dict[str, list[int]] = {}
        for message in await self.stream():
            event = msgspec.json.decode(message.payload, type=AgentDeleted)
            numbers.append(str(event.org_id.int))
            sequences.setdefault(str(event.agent_id.int), []).append(event.org_id.int)
        found = {f"stream {k}": v for k, v in violations(self.history, numbers).items()}
        out_of_order = sorted(disordered(sequences))
        return found | ({"stream disordered": out_of_order} if out_of_order else {})


class Keeper:
    """Starts a process again whenever it has ended."""

    def __init__(self, flow: Flow, part: Part) -> None:
        self._flow = flow
        self._part = part
        self.starts = 0
        self.process: Process | None = None

    async def run(self) -> None:
        while True:
            seed = self._part.seed + self.starts
            part = msgspec.structs.replace(self._part, seed=seed)
            self.process = self._flow._process(part, f"{part.part}-{self.starts}")
            self.process.start()
            self.starts += 1
            await self.process.ended()

    def kill(self) -> None:
        if self.process is not None and self.process.alive:
            self.process.kill()

    async def end(self, task: asyncio.Task[None]) -> None:
        task.cancel()
        await asyncio.wait((task,))
        if self.process is not None:
            self.process.end()
