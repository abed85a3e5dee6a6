"""Every service's own HTTP port: health, metrics and its documents. It listens on loopback unless told otherwise."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TYPE_CHECKING

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from polis.proto.documents import DOCUMENTS, document
from polis.telemetry import metrics

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from polis.service.kernel import Kernel

_JSON = "application/json"


def health_routes(kernel: Kernel, documents: str) -> list[Route]:
    """The routes that every port has. `documents`: whose documents are shown."""

    async def live(_: Request) -> Response:
        return _json({"status": "live", "service": kernel.service})

    async def ready(_: Request) -> Response:
        faults = await kernel.faults()
        status = {"status": "unready" if faults else "ready", "service": kernel.service, "faults": faults}
        return _json(status, 503 if faults else 200)

    async def show_metrics(_: Request) -> Response:
        return Response(metrics.exposition(), media_type=metrics.CONTENT_TYPE)

    async def show_document(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in DOCUMENTS:
            return _json(
                {"type": "/problems/not-found", "title": "Nothing answers at this path.", "status": 404}, 404
            )
        return Response(document(documents, name), media_type=DOCUMENTS[name])

    return [
        Route("/health", ready),
        Route("/health/live", live),
        Route("/health/ready", ready),
        Route("/metrics", show_metrics),
        Route("/docs/{name}", show_document),
    ]


def health_app(kernel: Kernel) -> Starlette:
    return Starlette(routes=health_routes(kernel, kernel.service))


def _json(value: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type=_JSON)


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers, for the service decides when to stop; where it cannot listen, it says why."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        del sockets  # none is ever handed over
        config = self.config
        server = await asyncio.get_running_loop().create_server(
            lambda: config.http_protocol_class(  # type: ignore[call-arg]
                config=config, server_state=self.server_state, app_state=self.lifespan.state
            ),
            config.host,
            config.port,
            backlog=config.backlog,
        )
        self.servers = [server]
        self.started = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class HttpPort(AbstractAsyncContextManager[int]):
    """Serves an ASGI application on one port inside the running event loop; port 0 takes a free one."""

    def __init__(
        self,
        app: Callable[..., Awaitable[None]],
        host: str,
        port: int,
        drain_s: float,
        *,
        connection: Callable[..., asyncio.Protocol] | None = None,
    ) -> None:
        """connection: makes the protocol of each connection, called as uvicorn calls its own."""
        self._server = _Server(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                log_config=None,
                access_log=False,
                proxy_headers=False,  # whom to believe a forwarded address is the gateway's to decide
                lifespan="off",
                http=connection or "httptools",  # type: ignore[arg-type]  # it only calls the class
                ws="websockets-sansio",
                timeout_graceful_shutdown=int(drain_s) or 1,
                server_header=False,
                date_header=False,
            )
        )
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> int:
        self._task = asyncio.create_task(self._server.serve(), name="http")
        while not self._server.started:
            if self._task.done():
                config, why = self._server.config, self._task.exception()
                raise OSError(f"port {config.port} of {config.host} cannot be listened on: {why}") from why
            await asyncio.sleep(0.01)
        port: int = self._server.servers[0].sockets[0].getsockname()[1]
        return port

    async def __aexit__(self, *error: object) -> None:
        self._server.should_exit = True
        if self._task is not None:
            await self._task
