"""One port before several servers of HTTP/1.1: each request goes to the next of them, also on a connection that stays open.

What a client says behind an answer begins its next request; behind a WebSocket's handshake there are none.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

_METHODS = (b"GET ", b"HEAD ", b"POST ", b"PUT ", b"PATCH ", b"DELETE ", b"OPTIONS ")
_SWITCHED = b"HTTP/1.1 101 "
_READ = 65_536


@asynccontextmanager
async def in_turns(ports: Sequence[int]) -> AsyncIterator[int]:
    """A port of this host that stands before those, until the context ends."""
    clients: set[_Client] = set()
    begun = 0

    def accept() -> _Client:
        nonlocal begun
        begun += 1
        return _Client(ports, begun, clients)

    server = await asyncio.get_running_loop().create_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for client in tuple(clients):
            client.abort()


class _Client(asyncio.Protocol):
    """Who connected. One server at a time hears it."""

    def __init__(self, ports: Sequence[int], turn: int, clients: set[_Client]) -> None:
        self._ports, self._turn, self._clients = ports, turn, clients
        self._servers: dict[int, _Server] = {}
        self._server: _Server | None = None
        self._said: list[bytes] = []
        self._connecting: asyncio.Task[None] | None = None
        self.transport: asyncio.Transport
        self.switched = self.answered = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - as asyncio's own documents say
        self.transport = transport
        self._clients.add(self)

    def data_received(self, data: bytes) -> None:
        if self._server is None or (self.answered and not self.switched and data.startswith(_METHODS)):
            self._server, self.answered = None, False
            self._said.append(data)
            if self._connecting is None:
                self._turn += 1
                port = self._ports[self._turn % len(self._ports)]
                self._connecting = asyncio.ensure_future(self._connect(port))
            return
        self._server.transport.write(data)

    def pause_writing(self) -> None:
        for server in self._servers.values():
            server.transport.pause_reading()

    def resume_writing(self) -> None:
        for server in self._servers.values():
            server.transport.resume_reading()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        del error
        self._clients.discard(self)
        if self._connecting is not None:
            self._connecting.cancel()
        for server in self._servers.values():
            server.transport.close()

    def abort(self) -> None:
        self.transport.abort()

    def said(self, data: bytes) -> None:
        """A server answers."""
        self.switched = self.switched or (not self.answered and data.startswith(_SWITCHED))
        self.answered = True
        self.transport.write(data)

    def left(self, server: _Server) -> None:
        """A server has closed: so has this one, unless it speaks to another."""
        self._servers = {port: each for port, each in self._servers.items() if each is not server}
        if server is self._server:
            self.transport.close()

    async def _connect(self, port: int) -> None:
        try:
            server = self._servers.get(port)
            if server is None:
                address = self.transport.get_extra_info("peername")[0], 0  # limits go by it
                _, server = await asyncio.get_running_loop().create_connection(
                    lambda: _Server(self), "127.0.0.1", port, local_addr=address
                )
                self._servers[port] = server
        except OSError:
            self.transport.abort()
            return
        finally:
            self._connecting = None
        self._server = server
        server.transport.write(b"".join(self._said))
        self._said.clear()


class _Server(asyncio.Protocol):
    """One of the servers, as it speaks to one client."""

    def __init__(self, client: _Client) -> None:
        self._client = client
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - as asyncio's own documents say
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._client.said(data)

    def pause_writing(self) -> None:
        self._client.transport.pause_reading()

    def resume_writing(self) -> None:
        self._client.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        del error
        self._client.left(self)
