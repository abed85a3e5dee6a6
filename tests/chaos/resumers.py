"""Clients that follow one conversation and are cut again and again: each comes back behind the last number that it has."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import aiohttp
import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from polis.testing.room import Room

SILENT_S = 1.0
"""Somebody always speaks: a link on which nothing comes for so long is dead."""
PAUSE_S = 0.02


class _Numbered(msgspec.Struct):
    seq: int


class _Snapshot(msgspec.Struct):
    recovered: bool
    entries: tuple[_Numbered, ...] = ()


class _Frame(msgspec.Struct):
    op: str
    seq: int = 0
    data: msgspec.Raw = msgspec.Raw(b"null")


_frame = msgspec.json.Decoder(_Frame)
_snapshot = msgspec.json.Decoder(_Snapshot)
_changes = msgspec.json.Decoder(list[_Numbered])


class Resumer:
    """One of them. port: where to connect now. heard: how much it was told; cuts: how often it came back.

    caught_up_s: how long it took, each time, until it had what there was when it came. unrecovered: how often it was told to begin anew.
    """

    def __init__(self, port: Callable[[], int], token: str, room: Room) -> None:
        self._port = port
        self._headers = {"Authorization": f"Bearer {token}"}
        self._room = room
        self._ws: aiohttp.ClientWebSocketResponse | None = None
        self.last = 0
        self.heard = self.cuts = self.unrecovered = 0
        self.caught_up_s: list[float] = []

    def cut(self) -> None:
        """Without a word, as a device that loses its network."""
        if self._ws is not None:
            self._ws._writer.transport.abort()

    async def follow(self) -> None:
        """Until it is cancelled."""
        async with aiohttp.ClientSession() as http:
            while True:
                with suppress(aiohttp.ClientError, OSError, TimeoutError):
                    await self._once(http)
                self.cuts += 1
                await asyncio.sleep(PAUSE_S)

    async def _once(self, http: aiohttp.ClientSession) -> None:
        url = f"http://127.0.0.1:{self._port()}/api/v1/live"
        async with asyncio.timeout(SILENT_S):
            self._ws = ws = await http.ws_connect(url, headers=self._headers)
        try:
            began, wanted = time.monotonic(), self._room.seq
            await ws.send_json({"op": "subscribe", "topic": self._room.topic, "after": self.last})
            while True:
                message = await ws.receive(timeout=SILENT_S)
                if message.type is not aiohttp.WSMsgType.TEXT:
                    return
                self._take(_frame.decode(message.data))
                if began and self.last >= wanted:
                    self.caught_up_s.append(time.monotonic() - began)
                    began = 0.0
        finally:
            self._ws = None
            await ws.close()

    def _take(self, frame: _Frame) -> None:
        if frame.op == "snapshot":
            snapshot = _snapshot.decode(frame.data)
            if not snapshot.recovered:
                self.unrecovered += 1
                self.last = frame.seq
            things = snapshot.entries
        else:
            assert frame.op == "events", frame
            things = _changes.decode(frame.data)
        for thing in things:
            assert thing.seq == self.last + 1, f"{thing.seq} was told behind {self.last}"
            self.last += 1
            self.heard += 1
