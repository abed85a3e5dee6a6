"""What one process of the mesh holds: its settings, bus, database, keys and logs; opened and closed in one place."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from msgspec import json

from polis.bus import Bus, BusError
from polis.bus.permissions import inbox_prefix
from polis.db import Database
from polis.proto import Refused, identity
from polis.proto.contract import event_type_of
from polis.service.actor import Keys
from polis.service.call import Caller
from polis.service.cursor import Cursors
from polis.service.denials import Denials
from polis.service.envelope import decode
from polis.service.tasks import Tasks
from polis.telemetry import log
from polis.telemetry.logs import RequestLog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Sequence

    from polis.bus import Message
    from polis.db.emit import Emitted
    from polis.service.config import Settings

_KEYS_RETRY_S = (0.1, 0.2, 0.4, 0.8, 1.0)


class Kernel:
    """The connections of a process. `database` exists for services that own a schema."""

    def __init__(
        self, service: str, settings: Settings, bus: Bus, database: Database | None, tasks: Tasks
    ) -> None:
        self.service = service
        self.settings = settings
        self.bus = bus
        self.tasks = tasks
        self.caller = Caller(bus, timeout_s=settings.call_timeout_s)
        self.keys = Keys(self.caller, service=service, credential=str(settings.credential))
        self.denials = Denials(self.caller, self.keys, tasks)
        self.cursors = Cursors(settings.credential.encode())
        self.requests = RequestLog(service)
        self.draining = asyncio.Event()
        self._database = database
        if database is not None:
            database.on_emit(self._tell_at_once)

    @property
    def database(self) -> Database:
        if self._database is None:
            raise RuntimeError(f"{self.service} owns no schema")
        return self._database

    @property
    def has_database(self) -> bool:
        return self._database is not None

    async def faults(self) -> dict[str, str]:
        """What is not ready, by dependency; empty when all is well. Each check is bounded to a second."""
        checks: dict[str, Awaitable[object]] = {"nats": self.bus.round_trip(1.0)}
        if self._database is not None:
            checks["postgresql"] = self._database.ping(1.0)
        results = await asyncio.gather(*checks.values(), return_exceptions=True)
        faults = {
            name: str(result) or type(result).__name__
            for name, result in zip(checks, results, strict=True)
            if isinstance(result, BaseException)
        }
        if not self.keys.ready:
            faults["identity"] = "its public keys have not been read yet"
        if self.draining.is_set():
            faults["self"] = "shutting down"
        return faults

    def _tell_at_once(self, emitted: Sequence[Emitted]) -> None:
        """Who keeps copies of what has changed hears of it on the way of the answer, and ahead of it.

        The relay publishes every event too, a moment later; without a connection nobody gets the answer either.
        """
        for _, event, _ in emitted:
            kind = event_type_of(type(event))
            if kind.at_once:
                with suppress(BusError):
                    self.bus.publish(kind.subject_at_once(event), json.encode(event))

    async def follow_keys(self) -> None:
        """Listen for ended sessions, then load keys and revocations until that succeeds; again after a reconnect."""
        ended = event_type_of(identity.SessionEnded)
        await self.bus.subscribe(f"now.identity.{ended.fact}.>", self._on_session_ended_now)
        await self.bus.subscribe(f"event.identity.{ended.fact}.>", self._on_session_ended)
        self.bus.on_reconnect.append(self._start_loading)
        self._start_loading()

    def _start_loading(self) -> None:
        self.tasks.start(self._load_keys(), name="keys")

    def _on_session_ended(self, message: Message) -> None:
        event = decode(message.headers, message.payload)
        if isinstance(event, identity.SessionEnded):
            self.keys.on_session_ended(event)

    def _on_session_ended_now(self, message: Message) -> None:
        self.keys.on_session_ended(json.decode(message.payload, type=identity.SessionEnded))

    async def _load_keys(self) -> None:
        attempt = 0
        while not self.draining.is_set():
            try:
                await self.keys.load()
            except Refused as refusal:
                wait = _KEYS_RETRY_S[min(attempt, len(_KEYS_RETRY_S) - 1)]
                attempt += 1
                if attempt % 10 == 0:
                    log.warning("keys.unavailable", problem=refusal.problem.type)
                await asyncio.sleep(wait)
            else:
                return


@asynccontextmanager
async def open_kernel(service: str, settings: Settings) -> AsyncIterator[Kernel]:
    """Connect to the bus and, where a URL is given, to the database; close both at the end, whatever happens."""
    bus = await Bus.connect(
        settings.nats_url,
        name=service,
        user=settings.nats_user or None,
        password=str(settings.nats_password) or None,
        inbox_prefix=inbox_prefix(service),
    )
    try:
        database = None
        if settings.postgres_url:
            database = await Database.open(
                str(settings.postgres_url), service=service, size=settings.database_connections
            )
        try:
            async with Tasks() as tasks:
                yield Kernel(service, settings, bus, database, tasks)
        finally:
            if database is not None:
                await database.close()
    finally:
        await bus.close()
