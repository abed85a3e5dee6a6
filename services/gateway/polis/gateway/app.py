"""The ASGI application of the public port: `/api/v1` by hand, because every call takes it; the rest by Starlette."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polis.gateway import sse
from polis.gateway.actors import Actors
from polis.gateway.admission import Admission
from polis.gateway.browser import Browser
from polis.gateway.certificate import certificate_of
from polis.gateway.cookies import Cookies
from polis.gateway.cors import Cors
from polis.gateway.credentials import Credentials
from polis.gateway.drawings import Drawings
from polis.gateway.edge import Edge
from polis.gateway.facades import OPEN, STREAM, facade_routes, facades
from polis.gateway.files import Files
from polis.gateway.handshakes import Handshakes
from polis.gateway.health import PATHS, Health, Operators
from polis.gateway.hooks import EventByName, Hooks
from polis.gateway.http import AsgiExchange
from polis.gateway.lines import Lines
from polis.gateway.live import Live
from polis.gateway.peers import Peers
from polis.gateway.proxies import Proxies
from polis.gateway.proxy import Proxy
from polis.gateway.requests import Requests
from polis.gateway.routes import LIVE, Routes
from polis.gateway.runs import RunByName, Runs
from polis.gateway.sites import Sites
from polis.gateway.static import pages
from polis.gateway.tickets import Tickets
from polis.proto.catalog import DownloadArtifact
from polis.proto.contract import operations
from polis.proto.gateway import (
    CallHook,
    CloseBrowserSession,
    ConfirmBrowserSession,
    DrawRun,
    GetBrowserSession,
    IssueLiveTicket,
    OpenBrowserSession,
    ProveBrowserSession,
    RefreshBrowserSession,
    UploadArtifact,
)

if TYPE_CHECKING:
    from polis.gateway.config import GatewaySettings
    from polis.gateway.http import Receive, Scope, Send
    from polis.gateway.proxy import Local, Streamed
    from polis.service import Kernel


class Gateway:
    """Decides by path alone who answers."""

    def __init__(self, kernel: Kernel, settings: GatewaySettings) -> None:
        self.certificate = certificate_of(settings)
        proxies = Proxies(settings.trusted_proxies)
        cookies = Cookies(proxies)
        credentials = Credentials(settings.credential, settings.origins, cookies)
        admission = Admission(settings, proxies)
        self.peers = Peers(kernel, *admission.buckets)
        self.tickets = Tickets(kernel, credentials)
        self.requests = Requests(kernel)
        actors = Actors(kernel, credentials)
        self._proxy = Proxy(
            kernel,
            Routes(operations(), facades()),
            actors,
            admission,
            self.requests,
            cors=Cors(settings.cors_origins),
            local=_local(kernel, Browser(kernel.caller, credentials, cookies, proxies), self.tickets),
            streamed=_streamed(kernel),
        )
        self._live = Live(
            kernel, settings, credentials, actors, proxy=self._proxy, proxies=proxies, tickets=self.tickets
        )
        sites = Sites(proxies, most=settings.connections_per_address)
        edge = Edge(self._proxy, self._live, sites, connections=settings.connections)
        self.connection = (
            edge.connection
            if self.certificate is None
            else Handshakes(
                edge, self.certificate.context, kernel.tasks, most=settings.connections
            ).connection
        )
        self._health = Health(kernel, Operators(settings.metrics_from, proxies))
        self._pages = pages(facade_routes())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "")
        if path in (LIVE, STREAM):
            await sse.events(self._live, AsgiExchange(scope, receive, send))
        elif path in PATHS:
            await self._health(scope, receive, send)
        elif path.startswith("/api/") and path not in OPEN:
            await self._proxy(scope, receive, send)
        else:
            await self._pages(scope, receive, send)


def _local(kernel: Kernel, browser: Browser, tickets: Tickets) -> dict[type, Local]:
    """What the gateway answers itself."""
    hooks = Hooks(kernel.caller, kernel.keys)
    return {
        OpenBrowserSession: browser.open,
        ProveBrowserSession: browser.prove,
        ConfirmBrowserSession: browser.confirm,
        GetBrowserSession: browser.show,
        RefreshBrowserSession: browser.refresh,
        CloseBrowserSession: browser.close,
        RunByName: Runs(kernel.caller).start,
        IssueLiveTicket: tickets.issue,
        CallHook: hooks.receive,
        DrawRun: Drawings(kernel.caller).show,
        EventByName: hooks.tell,
    }


def _streamed(kernel: Kernel) -> dict[type, Streamed]:
    """What streams: files, and messages line by line."""
    files_, lines = Files(kernel.caller), Lines(kernel.caller)
    in_lines: dict[type, Streamed] = {o.request: lines for o in operations() if o.streams}
    return in_lines | {UploadArtifact: files_.upload, DownloadArtifact: files_.download}
