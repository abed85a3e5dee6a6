"""Clients of the live edge that follow one conversation: some read and note how late each message is, some read nothing."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from typing import Self

import msgspec

from polis.testing.frames import said

HANDSHAKE_S = 10.0
SMALL_BUFFER = 8 * 1024
_SAID_AT = re.compile(rb'"text":"([0-9]{10,}) ')
_TEXT, _PONG = 1, 0xA
_PING = b"\x89\x00"
_TOO_SLOW = re.compile(rb"\x88.\x11\x38", re.DOTALL)
"""A close frame with 4408."""


def said_now(*, size: int) -> str:
    """A text of so many characters that tells when it was said."""
    return f"{time.monotonic_ns()} ".ljust(size, "x")


class Listener(asyncio.Protocol):
    """Follows a topic from a socket of its own. late_s: how late each message was. ended: why it hears no more."""

    def __init__(self, token: str, topic: str) -> None:
        self._head = b"\r\n".join(
            [
                b"GET /api/v1/live HTTP/1.1",
                b"Host: polis",
                b"Connection: Upgrade",
                b"Upgrade: websocket",
                b"Sec-WebSocket-Version: 13",
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                b"Authorization: Bearer " + token.encode(),
                b"",
                b"",
            ]
        )
        self._subscribe = said(_TEXT, msgspec.json.encode({"op": "subscribe", "topic": topic}))
        self._follows: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._heard = b""
        self.late_s: list[float] = []
        self.ended = ""
        self.transport: asyncio.Transport

    @classmethod
    async def at(cls, port: int, token: str, topic: str, *, buffer: int = 0) -> Self:
        """One that follows: its snapshot is there."""
        plain = socket.socket()
        plain.setblocking(False)
        if buffer:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(plain, ("127.0.0.1", port))
        listener = cls(token, topic)
        await loop.create_connection(lambda: listener, sock=plain)
        async with asyncio.timeout(HANDSHAKE_S):
            await listener._follows
        return listener

    def read_nothing(self) -> None:
        self.transport.pause_reading()

    def read_on(self) -> None:
        self.transport.resume_reading()

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self._head + self._subscribe)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        self.late_s += [(now - int(at)) / 1e9 for at in _SAID_AT.findall(data)]
        if not self._follows.done():
            self._heard += data
            if b'"op":"snapshot"' in self._heard:
                self._heard = b""
                self._follows.set_result(None)
        if _PING in data:
            self.transport.write(said(_PONG))
        if _TOO_SLOW.search(data):
            self.ended = "4408"
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = self.ended or ("reset" if exc else "closed")
        if not self._follows.done():
            self._follows.set_exception(ConnectionError(self.ended))


def percentile(values: list[float], percent: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
