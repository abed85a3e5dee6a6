"""A WebSocket for a load: as little of RFC 6455 as the gateway's frames need, on one asyncio transport."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Callable
from typing import cast

_TEXT, _CLOSE, _PING, _PONG = 0x1, 0x8, 0x9, 0xA
_UNMASKED = b"\0\0\0\0"
"""A mask that changes nothing is one, too."""


class SocketClient(asyncio.Protocol):
    """hear: what takes each text. RuntimeError out of `opened` when it is refused."""

    def __init__(self, token: str, hear: Callable[[bytes], None]) -> None:
        self._token = token
        self.hear = hear
        self._held = bytearray()
        self._transport: asyncio.Transport
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.lost = False

    @classmethod
    async def open(cls, port: int, token: str, hear: Callable[[bytes], None]) -> SocketClient:
        loop = asyncio.get_running_loop()
        _, client = await loop.create_connection(lambda: cls(token, hear), "127.0.0.1", port)
        await client.opened
        return client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        key = base64.b64encode(os.urandom(16)).decode()
        head = (
            "GET /api/v1/live HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nAuthorization: Bearer {self._token}\r\n\r\n"
        )
        transport.write(head.encode())

    def say(self, text: bytes) -> None:
        self._transport.write(_frame(_TEXT, text))

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._held += data
        if not self.opened.done():
            head, end, rest = self._held.partition(b"\r\n\r\n")
            if not end:
                return
            self._held = rest
            if b" 101 " in head[:20]:
                self.opened.set_result(None)
            else:
                self.opened.set_exception(RuntimeError(bytes(head).decode("latin-1")))
        self._take()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.lost = True
        if not self.opened.done():
            self.opened.set_exception(RuntimeError("the connection was closed"))

    def _take(self) -> None:
        held, at = self._held, 0
        while len(held) - at >= 2:
            size, start = held[at + 1], at + 2
            if size >= 126:
                start = at + (4 if size == 126 else 10)
                if len(held) < start:
                    break
                size = int.from_bytes(held[at + 2 : start], "big")
            if len(held) < start + size:
                break
            payload = bytes(held[start : start + size])
            kind, at = held[at] & 0x0F, start + size
            if kind == _TEXT:
                self.hear(payload)
            elif kind == _PING:
                self._transport.write(_frame(_PONG, payload))
            elif kind == _CLOSE:
                self._transport.close()
        del held[:at]


def _frame(kind: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes((0x80 | kind, 0x80 | size)) + _UNMASKED + payload
    return bytes((0x80 | kind, 0xFE)) + size.to_bytes(2, "big") + _UNMASKED + payload
