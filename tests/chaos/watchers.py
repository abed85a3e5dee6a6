"""Clients of the live edge that come, follow topics, are cut or go, and come back behind what they have seen."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import aiohttp
import msgspec

if TYPE_CHECKING:
    from random import Random
    from uuid import UUID

_TOPICS = ("presence", "org", "asks")
_PROTOCOLS = ("polis.v1.json",)


class _Frame(msgspec.Struct):
    op: str
    topic: str = ""
    seq: int = 0


_frame = msgspec.json.Decoder(_Frame)


class Watcher:
    """One of them, over a WebSocket, or over server-sent events."""

    def __init__(self, room: UUID, dice: Random, *, sse: bool) -> None:
        self._room = f"conversation/{room}"
        self._dice = dice
        self._sse = sse
        self._last: int | None = None

    async def watch(self, address: str, token: str, seconds: float, ended: asyncio.Event) -> None:
        """For so long, or until the end."""
        headers = {"Authorization": f"Bearer {token}"}
        async with aiohttp.ClientSession(headers=headers) as http:
            listening = asyncio.ensure_future((self._events if self._sse else self._socket)(http, address))
            stopped = asyncio.ensure_future(ended.wait())
            try:
                await asyncio.wait((listening, stopped), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            finally:
                over = listening.done()
                for each in (listening, stopped):
                    each.cancel()
                with suppress(asyncio.CancelledError):
                    await listening
                assert over or listening.cancelled()

    async def _socket(self, http: aiohttp.ClientSession, address: str) -> None:
        async with http.ws_connect(f"{address}/api/v1/live", protocols=_PROTOCOLS) as ws:
            try:
                await self._subscribe(ws)
                await self._hear(ws)
            finally:
                if self._dice.random() < 0.5:
                    ws._writer.transport.abort()

    async def _subscribe(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        told = {} if self._last is None else {"after": self._last}
        await ws.send_json({"op": "subscribe", "topic": self._room, **told})
        for topic in _TOPICS:
            await ws.send_json({"op": "subscribe", "topic": topic})
        await ws.send_json({"op": "unsubscribe", "topic": self._dice.choice(_TOPICS)})

    async def _hear(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        async for message in ws:
            if message.type is aiohttp.WSMsgType.TEXT:
                frame = _frame.decode(message.data)
                if frame.topic == self._room and frame.op in ("snapshot", "events"):
                    self._last = frame.seq

    async def _events(self, http: aiohttp.ClientSession, address: str) -> None:
        headers = {} if self._last is None else {"Last-Event-ID": str(self._last)}
        async with http.get(
            f"{address}/api/v1/live", params={"topic": self._room}, headers=headers
        ) as answer:
            answer.raise_for_status()
            async for line in answer.content:
                if line.startswith(b"id: "):
                    self._last = int(line[4:])
