"""A service: its handlers and listeners, and the life of its process from settings to drain."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from contextlib import AsyncExitStack, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from polis.bus import BusError
from polis.db import check_schema
from polis.db.errors import NOT_LET_IN
from polis.db.migrate import MigrationRefused, migrate
from polis.proto import Refused
from polis.proto.contract import events, operation_of, operations
from polis.proto.registry import SERVICES, load
from polis.service import config
from polis.service.discovery import Discovery
from polis.service.dispatch import Dispatcher, Endpoint
from polis.service.health import HttpPort, health_app
from polis.service.inbox import Inbox
from polis.service.kernel import Kernel, open_kernel
from polis.service.relay import Relay
from polis.service.retention import keep_retention
from polis.telemetry import configure, log, spans
from polis.telemetry import trace as tracing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from contextlib import AbstractAsyncContextManager

    from polis.proto import Event, Request

    ASGI = Callable[..., Awaitable[None]]

_YOUNG_OBJECTS, _YOUNG_ROUNDS = 10_000, 20
"""Of how many new objects the garbage collector looks for cycles, and how often before it looks at older ones."""

R = TypeVar("R")
V = TypeVar("V", bound="Event")
F = TypeVar("F", bound="Callable[..., object]")


class Handlers:
    """Handlers and listeners of one noun; a service includes those of all of its nouns."""

    def __init__(self) -> None:
        self.handlers: dict[type, Callable[..., object]] = {}
        self.prompt: set[type] = set()
        self.listeners: dict[type[Event], Callable[..., Awaitable[None]]] = {}

    def handles(self, request: type[Request[Any]], *, promptly: bool = False) -> Callable[[F], F]:
        """Declare the handler of an operation: `async def (request, ctx) -> answer`, or an async generator.

        promptly: `def (request, ctx) -> Future[answer]`, called in the order in which calls come, from within the parser of the
        bus, so that it must not block. It spares the call its task; its trace is the context's, and not the current one.
        """

        def declare(handler: F) -> F:
            self._handle(request, handler)
            if promptly:
                self.prompt.add(request)
            return handler

        return declare

    def on(self, event: type[V]) -> Callable[[F], F]:
        """Declare a listener: `async def (event, ctx) -> None`, run in the transaction that records the event."""

        def declare(listener: F) -> F:
            self._listen(event, listener)
            return listener

        return declare

    def include(self, *others: Handlers) -> None:
        """Take over what others declare."""
        for other in others:
            for request, handler in other.handlers.items():
                self._handle(request, handler)
            self.prompt |= other.prompt
            for event, listener in other.listeners.items():
                self._listen(event, listener)

    def _handle(self, request: type, handler: Callable[..., object]) -> None:
        if request in self.handlers:
            raise ValueError(f"{request.__name__} has two handlers")
        self.handlers[request] = handler

    def _listen(self, event: type[Event], listener: Callable[..., Any]) -> None:
        if event in self.listeners:
            raise ValueError(f"{event.__name__} has two listeners")
        self.listeners[event] = listener


class Service(Handlers, Generic[R]):
    """A named part of the mesh.

    settings: its settings Struct. open: an async context manager that makes its own resources (`ctx.own`) from
    settings and kernel. http: makes the ASGI application of its port; the default has health, metrics and documents.
    connection: what makes the protocol of each of its connections; the default is uvicorn's.
    """

    def __init__(
        self,
        name: str,
        *,
        settings: type[config.Settings] = config.Settings,
        open: Callable[[Any, Kernel], AbstractAsyncContextManager[R]] | None = None,  # noqa: A002 - reads as what it does
        http: Callable[[Kernel, R], ASGI] | None = None,
        connection: Callable[[R], Callable[..., asyncio.Protocol]] | None = None,
    ) -> None:
        super().__init__()
        self.name = name
        self.settings = settings
        self.open = open
        self.http = http
        self.connection = connection

    def check(self) -> None:
        """ValueError unless exactly the declared operations and events of this service have handlers."""
        load()
        expected = {o.request for o in operations(self.name) if not o.local}
        faults = [f"{r.__name__} has no handler" for r in expected - self.handlers.keys()]
        faults += [f"{r.__name__} is no operation of {self.name}" for r in self.handlers.keys() - expected]
        heard = {e.event for e in events() if self.name in e.listeners}
        faults += [f"{e.__name__} has no listener" for e in heard - self.listeners.keys()]
        faults += [
            f"{e.__name__} does not name {self.name} as a listener" for e in self.listeners.keys() - heard
        ]
        if faults:
            raise ValueError("; ".join(sorted(faults)))

    def run(self) -> None:
        """The process: read settings, serve until SIGTERM or SIGINT, drain, exit."""
        try:
            settings = config.read(self.settings)
        except config.BadSettings as error:
            sys.exit(f"{self.name}: {error}")
        if "--print-config" in sys.argv[1:]:
            sys.stdout.write("".join(f"{k}={v}\n" for k, v in config.shown(settings).items()))
            return
        migrating = "--migrate" in sys.argv[1:]
        owns_schema = any(service.name == self.name and service.schema for service in SERVICES)
        if owns_schema and not (settings.migrator_url if migrating else settings.postgres_url):
            sys.exit(f"{self.name}: POLIS_{'MIGRATOR' if migrating else 'POSTGRES'}_URL is missing")
        configure(self.name, level=settings.log_level)
        if migrating:
            self._run(self._migrate(settings))
            return
        tracing.sample_ratio = settings.trace_ratio
        if settings.otlp_url:
            spans.export_to(settings.otlp_url, self.name)
        self._run(self._until_signal(settings))
        spans.shutdown()

    def _run(self, work: Coroutine[object, object, None]) -> None:
        """Run to the end; what keeps a service from starting is said in one line, without a trace."""
        import uvloop

        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(work)
        except (BusError, MigrationRefused, Refused, OSError, config.BadSettings, *NOT_LET_IN) as error:
            log.error("service.failed", reason=f"{type(error).__name__}: {error}")
            sys.exit(1)

    async def _migrate(self, settings: config.Settings) -> None:
        applied = await migrate(str(settings.migrator_url), self.name)
        log.info("service.migrated", applied=applied)

    async def _until_signal(self, settings: config.Settings) -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        async with serving(self, settings):
            settle()
            await stop.wait()


def settle() -> None:
    """What a process has by now it keeps: the garbage collector need not walk through that again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, _YOUNG_ROUNDS, _YOUNG_ROUNDS)


def serving(service: Service[Any], settings: config.Settings) -> AbstractAsyncContextManager[Running]:
    """Run a service inside this process until the context ends; then drain. Tests start services with it."""
    return _Serving(service, settings)


class Running:
    """A service that serves. `port` is its HTTP port."""

    def __init__(self, kernel: Kernel, port: int) -> None:
        self.kernel = kernel
        self.port = port


class _Serving:
    def __init__(self, service: Service[Any], settings: config.Settings) -> None:
        self._service = service
        self._settings = settings
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Running:
        async with AsyncExitStack() as stack:
            running = await self._start(stack)
            self._stack = stack.pop_all()
        return running

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    async def _start(self, stack: AsyncExitStack) -> Running:
        service, settings = self._service, self._settings
        service.check()
        kernel = await stack.enter_async_context(open_kernel(service.name, settings))
        if kernel.has_database:
            await check_schema(kernel.database, service.name)
        own = await stack.enter_async_context(
            service.open(settings, kernel) if service.open else nullcontext(None)
        )
        dispatcher = Dispatcher(kernel, own)
        kernel.tasks.start(dispatcher.sweep(), name="sweep")
        app = service.http(kernel, own) if service.http else health_app(kernel)
        connection = service.connection(own) if service.connection else None
        http = HttpPort(app, settings.host, settings.port, settings.drain_s, connection=connection)
        port = await stack.enter_async_context(http)
        drain = await self._listen(kernel, own, dispatcher)
        stack.push_async_callback(drain)
        await kernel.follow_keys()
        log.info("service.started", port=port)
        return Running(kernel, port)

    async def _listen(
        self, kernel: Kernel, own: object, dispatcher: Dispatcher
    ) -> Callable[[], Awaitable[None]]:
        service = self._service
        endpoints = [
            Endpoint(operation_of(request), handler, promptly=request in service.prompt)
            for request, handler in service.handlers.items()
        ]
        subscriptions = [
            await kernel.bus.subscribe(e.operation.subject, partial(dispatcher.accept, e), queue=service.name)
            for e in endpoints
        ]
        discovery = Discovery(kernel.bus, service.name, endpoints)
        await discovery.start()
        workers = []
        if kernel.has_database:
            relay = Relay(kernel)
            inbox = Inbox(kernel, own, service.listeners)
            workers = [
                kernel.tasks.start(relay.run(), name="relay"),
                kernel.tasks.start(keep_retention(kernel), name="retention"),
                *inbox.start(),
            ]

        async def drain() -> None:
            kernel.draining.set()
            log.info("service.draining")
            discovery.stop()
            for subscription in subscriptions:
                await subscription.drain(1.0)
            left = await dispatcher.drain(kernel.settings.drain_s)
            for worker in workers:
                worker.cancel()
            kernel.requests.flush()
            await kernel.bus.flush(1.0)
            log.info("service.stopped", unanswered=left)

        return drain
