"""Clients that follow one conversation and are cut again and again: each comes back behind the last number that it has."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from polis.testing.frames import said

if TYPE_CHECKING:
    from collections.abc import Callable

    from polis.testing.room import Room

SILENT_S = 1.0
"""Somebody always speaks: a link on which nothing comes for so long is dead."""
PAUSE_S = 0.02
_TEXT, _PING, _PONG = 1, 9, 10
_LONG = 126
"""From this on a size stands in the bytes behind it."""


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
    """One of them, on a socket of its own: it costs little, so that what is measured is whom it follows.

    port: where to connect now. heard: how much it was told; cuts: how often it came back. unrecovered: how often it was told to
    begin anew. caught_up_s: how long it took, each time, until it had what there was when it came: who comes by a cable that is out has not come.
    """

    def __init__(self, port: Callable[[], int], token: str, room: Room) -> None:
        self._port = port
        self._room = room
        self._writer: asyncio.StreamWriter | None = None
        self._hello = (
            b"GET /api/v1/live HTTP/1.1\r\nHost: polis\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Authorization: Bearer " + token.encode() + b"\r\n\r\n"
        )
        self.last = 0
        self.heard = self.cuts = self.unrecovered = 0
        self.caught_up_s: list[float] = []

    def cut(self) -> None:
        """Without a word, as a device that loses its network."""
        if self._writer is not None:
            self._writer.transport.abort()

    async def follow(self) -> None:
        """Until it is cancelled."""
        while True:
            with suppress(OSError, EOFError, TimeoutError):
                await self._once()
            self.cuts += 1
            await asyncio.sleep(PAUSE_S)

    async def _once(self) -> None:
        async with asyncio.timeout(SILENT_S):
            reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port())
        try:
            await self._listen(reader, self._writer)
        finally:
            self._writer.transport.abort()
            self._writer = None

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self._hello)
        async with asyncio.timeout(SILENT_S):
            answer = await reader.readuntil(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 101 "):
            return
        began, wanted = time.monotonic(), self._room.seq
        subscribe = {"op": "subscribe", "topic": self._room.topic, "after": self.last}
        writer.write(said(_TEXT, msgspec.json.encode(subscribe)))
        while True:
            async with asyncio.timeout(SILENT_S):
                kind, payload = await _frame_from(reader)
            if kind == _PING:
                writer.write(said(_PONG, payload))
                continue
            if kind != _TEXT:
                return
            self._take(_frame.decode(payload))
            if began and self.last >= wanted:
                self.caught_up_s.append(time.monotonic() - began)
                began = 0.0

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


async def _frame_from(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Its kind and payload: what the gateway says comes whole and without a mask (RFC 6455 5.2)."""
    head = await reader.readexactly(2)
    size = head[1]
    if size >= _LONG:
        size = int.from_bytes(await reader.readexactly(2 if size == _LONG else 8), "big")
    return head[0] & 0x0F, await reader.readexactly(size)
