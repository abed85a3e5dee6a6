"""Handshakes of TLS at the public port. Who connects is nobody yet: they are bounded by time, and by number, in all and of one site."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import Counter
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from polis.telemetry import metrics

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from polis.gateway.edge import Edge
    from polis.service.tasks import Tasks

HANDSHAKE_S = 10.0
"""How long a client may take to agree on TLS."""
_GOODBYE_S = 2.0
"""And to say that it ends."""


class Handshakes:
    """Those under way: they and the connections that are open are `most` together, and of one site as many as it may have."""

    def __init__(
        self,
        edge: Edge,
        context: ssl.SSLContext,
        tasks: Tasks,
        *,
        most: int,
    ) -> None:
        self.edge = edge
        self._context = context
        self._tasks = tasks
        self._most = most
        self._sites: Counter[str] = Counter()
        self._total = 0

    def connection(self, **given: Any) -> Handshake:
        """What uvicorn calls for each connection."""
        return Handshake(self, given)

    def begin(
        self, peer: str, plain: socket.socket, make: Callable[[], asyncio.Protocol]
    ) -> asyncio.Task[None] | None:
        """Its task, which has the socket from now on; None where there is no room for it."""
        sites = self.edge.sites
        site = sites.of(peer)
        if not sites.has_room(site, besides=self._sites[site]):
            sites.refused(site)
            return None
        if self._total + len(self.edge.connections) >= self._most:
            metrics.connections_refused.labels("all").inc()
            return None
        self._sites[site] += 1
        self._total += 1
        untaken = [plain]
        task = self._tasks.start(self._agree(untaken, make), name="handshake")
        task.add_done_callback(partial(self._done, site, untaken))
        return task

    def _done(self, site: str, untaken: list[socket.socket], _: asyncio.Task[None]) -> None:
        for plain in untaken:
            plain.close()  # the task was cancelled before it began
        self._total -= 1
        self._sites[site] -= 1
        if not self._sites[site]:
            del self._sites[site]

    async def _agree(self, untaken: list[socket.socket], make: Callable[[], asyncio.Protocol]) -> None:
        with suppress(OSError):  # no TLS, none that is spoken here, or not in time
            await asyncio.get_running_loop().connect_accepted_socket(
                make,
                untaken.pop(),
                ssl=self._context,
                ssl_handshake_timeout=HANDSHAKE_S,
                ssl_shutdown_timeout=_GOODBYE_S,
            )


class Handshake(asyncio.Protocol):
    """A connection until both sides have agreed on TLS.

    Its socket goes to another transport, for the first one may read at once what is said to TLS (uvloop's does).
    """

    def __init__(self, handshakes: Handshakes, given: dict[str, Any]) -> None:
        self._handshakes = handshakes
        self._given = given
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        peer: str = (transport.get_extra_info("peername") or ("",))[0]
        first = transport.get_extra_info("socket")
        try:
            plain = socket.socket(first.family, first.type, first.proto, fileno=os.dup(first.fileno()))
        except OSError:
            transport.abort()  # as many files are open as may be
            return
        transport.abort()
        plain.setblocking(False)
        self._task = self._handshakes.begin(
            peer, plain, lambda: self._handshakes.edge.connection(**self._given)
        )
        if self._task is None:
            plain.close()
            return
        open_here = self._given["server_state"].connections
        open_here.add(self)
        self._task.add_done_callback(lambda _: open_here.discard(self))

    def shutdown(self) -> None:
        """The port closes: nobody has asked for anything yet."""
        if self._task is not None:
            self._task.cancel()
