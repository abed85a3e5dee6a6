"""The ASGI application of the public port: `/api/v1` by hand, because every call takes it; the rest by Starlette."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from polis.gateway.actors import Actors
from polis.gateway.admission import Admission
from polis.gateway.browser import Browser
from polis.gateway.connection import Edge
from polis.gateway.cors import Cors
from polis.gateway.credentials import Credentials
from polis.gateway.files import Files
from polis.gateway.lines import Lines
from polis.gateway.live import Live
from polis.gateway.peers import Peers
from polis.gateway.proxies import Proxies
from polis.gateway.proxy import Proxy
from polis.gateway.routes import LIVE, PREFIX, Routes
from polis.proto.catalog import DownloadArtifact
from polis.proto.contract import operations
from polis.proto.gateway import (
    CloseBrowserSession,
    GetBrowserSession,
    OpenBrowserSession,
    RefreshBrowserSession,
    UploadArtifact,
)
from polis.service.health import health_routes

if TYPE_CHECKING:
    from starlette.requests import Request

    from polis.gateway.config import GatewaySettings
    from polis.gateway.http import Receive, Scope, Send
    from polis.gateway.proxy import Local, Streamed
    from polis.service import Kernel

_PAGES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/administrator": ("administrator.html", "text/html; charset=utf-8"),
    "/app.js": ("app.js", "text/javascript; charset=utf-8"),
    "/administrator.js": ("administrator.js", "text/javascript; charset=utf-8"),
    "/api.js": ("api.js", "text/javascript; charset=utf-8"),
    "/style.css": ("style.css", "text/css; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    "/sample.mbox": ("sample.mbox", "application/mbox"),
}
_PAGE_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-cache",
}


class Gateway:
    """Decides by path alone who answers."""

    def __init__(self, kernel: Kernel, settings: GatewaySettings) -> None:
        credentials = Credentials(settings.credential, settings.origins)
        proxies = Proxies(settings.trusted_proxies)
        admission = Admission(settings, proxies)
        self.peers = Peers(kernel, *admission.buckets)
        actors = Actors(kernel, credentials)
        self._live = Live(kernel, settings, credentials, actors)
        self._proxy = Proxy(
            kernel,
            Routes(operations()),
            actors,
            admission,
            cors=Cors(settings.cors_origins),
            local=_local(kernel, credentials, proxies),
            streamed=_streamed(kernel),
        )
        self.edge = Edge(self._proxy, connections=settings.connections)
        self._pages = Starlette(
            routes=[*health_routes(kernel, "gateway"), *(Route(path, _page) for path in _PAGES)]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "")
        if scope["type"] == "websocket":
            await self._websocket(path, scope, receive, send)
        elif path == LIVE:
            await self._live.events(scope, receive, send)
        elif path.startswith(PREFIX + "/"):
            await self._proxy(scope, receive, send)
        else:
            await self._pages(scope, receive, send)

    async def _websocket(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        if path == LIVE:
            await self._live.websocket(scope, receive, send)
            return
        await receive()
        await send({"type": "websocket.close", "code": 1008})


def _local(kernel: Kernel, credentials: Credentials, proxies: Proxies) -> dict[type, Local]:
    """What the gateway answers itself."""
    browser = Browser(kernel.caller, credentials, proxies)
    return {
        OpenBrowserSession: browser.open,
        GetBrowserSession: browser.show,
        RefreshBrowserSession: browser.refresh,
        CloseBrowserSession: browser.close,
    }


def _streamed(kernel: Kernel) -> dict[type, Streamed]:
    """What streams: files, and messages line by line."""
    files_, lines = Files(kernel.caller), Lines(kernel.caller)
    in_lines: dict[type, Streamed] = {o.request: lines for o in operations() if o.streams}
    return in_lines | {UploadArtifact: files_.upload, DownloadArtifact: files_.download}


@cache
def _file(name: str) -> bytes:
    return files("polis.gateway").joinpath("pages", name).read_bytes()


async def _page(request: Request) -> Response:
    name, media_type = _PAGES[request.url.path]
    return Response(_file(name), media_type=media_type, headers=_PAGE_HEADERS)
