"""What is on its way out: what is sent in a few turns of the loop leaves in few writes, and what waits is bounded."""

from __future__ import annotations

import asyncio

from polis.bus.errors import BufferFull
from polis.bus.joined import Joint
from polis.bus.protocol import CRLF

BUFFER_BYTES = 16 * 1024 * 1024
"""What may wait for a full socket, or for the next connection."""
_HIGH_WATER_BYTES = 1024 * 1024
_GATHER_TURNS = 2
"""Turns of the loop that messages wait for company: under load each brings more to send, and a write, with what it wakes
on the other side, costs more than all else; without load a turn is a few microseconds."""
_CROWD = 32
"""So many messages do not wait for more: the other side is to work on them while the next ones are made."""


class Writer:
    """Outlives connections. Without one it keeps what is sent; at a cut it forgets what waited, as the socket does."""

    __slots__ = (
        "_bound", "_chunks", "_count", "_joints", "_loop", "_paused", "_scheduled", "_size", "_transport", "_turns",
    )  # fmt: skip

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._chunks: list[bytes] = []
        self._joints: list[Joint] = []
        self._count = 0
        self._size = 0
        self._bound = BUFFER_BYTES
        self._scheduled = False
        self._turns = 0
        self._paused = False
        self._transport: asyncio.WriteTransport | None = None

    def attach(self, transport: asyncio.WriteTransport) -> None:
        transport.set_write_buffer_limits(high=_HIGH_WATER_BYTES)
        self._transport = transport
        self._paused = False
        self._flush()

    def detach(self) -> None:
        self._transport = None
        self._chunks.clear()
        for joint in self._joints:
            joint.clear()
        self._joints.clear()
        self._count = self._size = 0

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        self._flush()

    def control(self, line: bytes) -> None:
        """Send a protocol line, behind all that was sent before; these few bytes are never refused."""
        self._settle()
        self._chunks.append(line)
        self._size += len(line)
        self._wake()

    def message(self, line: bytes, body: bytes) -> None:
        """Send a message. BufferFull when too much waits already."""
        self._room_for(len(line) + len(body) + 2)
        append = self._chunks.append
        append(line)
        append(body)
        append(CRLF)
        self._counted()

    def join(self, joint: Joint, number: int, head: bytes, body: bytes) -> None:
        """Send a part of what goes to one address. BufferFull as above."""
        self._room_for(len(head) + len(body) + 2)
        if joint.add(number, head, body):
            self._joints.append(joint)
        self._counted()

    def _room_for(self, more: int) -> None:
        size = self._size + more
        if size > self._bound:
            raise BufferFull("the broker does not keep up" if self._transport else "there is no connection")
        self._size = size

    def _counted(self) -> None:
        self._count += 1
        if self._count >= _CROWD:
            self._write()
        elif not self._scheduled:
            self._wake()

    def close(self) -> None:
        """Write what waits and refuse the rest."""
        self.resume()
        self._bound = -1

    def _wake(self) -> None:
        if not self._scheduled and not self._paused and self._transport is not None:
            self._scheduled = True
            self._turns = 0
            self._loop.call_soon(self._gather)

    def _gather(self) -> None:
        if self._turns < _GATHER_TURNS:
            self._turns += 1
            self._loop.call_soon(self._gather)
        else:
            self._flush()

    def _flush(self) -> None:
        self._scheduled = False
        self._write()

    def _write(self) -> None:
        if self._paused or self._transport is None:
            return
        self._settle()
        self._count = self._size = 0
        if self._chunks:
            joined = b"".join(self._chunks)
            self._chunks.clear()
            self._transport.write(joined)

    def _settle(self) -> None:
        """What was joined takes its place among the rest."""
        for joint in self._joints:
            joint.write(self._chunks)
        self._joints.clear()
