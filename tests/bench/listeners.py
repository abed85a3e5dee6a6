"""Many who listen on WebSockets, in one thread: what they hear is counted, not read, so that it is the server that is measured.

Each message holds one byte that stands nowhere else, and behind it when it was said.
"""

from __future__ import annotations

import array
import ctypes
import re
import select
import socket
import time
from typing import Any

from tests.bench.native import library

MARK = b"\x7f"
_SAID_AT = re.compile(rb"\x7f([0-9]{16,})")
_PONGS = {
    b"\x89\x00": b"\x8a\x80\0\0\0\0",
    b"\x81\x012": b"\x81\x81\0\0\0\0" + b"3",
    b"PING\r\n": b"PONG\r\n",
}
"""Of WebSocket, Engine.IO, NATS."""
_LOOK_EVERY = 50
_MOST_LATE = 1_000_000


class Listeners:
    """So many connections that are told the same."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._publishers: list[socket.socket] = []
        self.late_us: list[int] | None = None
        """How long each message was on its way, while that is wanted."""

    def __len__(self) -> int:
        return len(self._sockets)

    def fileno(self) -> int:
        """Ready when any of them is."""
        return self._epoll.fileno()

    def keep(self, publisher: socket.socket) -> None:
        """Answer its pings, too."""
        self._publishers.append(publisher)

    def add(self, plain: socket.socket) -> None:
        plain.setblocking(False)
        self._sockets[plain.fileno()] = plain
        self._epoll.register(plain.fileno(), select.EPOLLIN)
        if len(self) % _LOOK_EVERY == 0:
            self.hear()  # the first are asked whether they are there before the last has come

    def hear(self, wanted: int = 0, wait_s: float = 0.0) -> int:
        """How many messages have come when so many are there, or the time is over."""
        for publisher in select.select(self._publishers, (), (), 0)[0]:
            self._pong(publisher, self._read(publisher))
        return self._hear(wanted, wait_s)

    def _hear(self, wanted: int, wait_s: float) -> int:
        count, stop = 0, time.perf_counter() + wait_s
        while True:
            rest = stop - time.perf_counter()
            for number, _ in self._epoll.poll(max(0.0, rest), 4096):
                count += self._take(self._sockets[number])
            if count >= wanted or rest <= 0:
                return count

    def _take(self, plain: socket.socket) -> int:
        data = self._read(plain)
        if self.late_us is not None:
            now = time.monotonic_ns()
            self.late_us += [(now - int(at)) // 1000 for at in _SAID_AT.findall(data)]
        self._pong(plain, data)
        return data.count(MARK)

    def _read(self, plain: socket.socket) -> bytes:
        data = plain.recv(1 << 18)
        if not data:
            raise RuntimeError(f"the server closed a connection of {len(self)}")
        return data

    def _pong(self, plain: socket.socket, data: bytes) -> None:
        for ping, pong in _PONGS.items():
            if ping in data:
                plain.sendall(pong)

    def close(self) -> None:
        for plain in (*self._sockets.values(), *self._publishers):
            plain.close()
        self._sockets.clear()
        self._publishers.clear()
        self._epoll.close()


class _Tally(ctypes.Structure):
    _fields_ = (
        ("heard", ctypes.c_int64),
        ("kept", ctypes.c_int64),
        ("room", ctypes.c_int64),
        ("late_us", ctypes.c_void_p),
    )


class NativeListeners(Listeners):
    """The same with the loop in C (listeners.c): a fifth of the time, which is the server's to use."""

    def __init__(self, native: ctypes.CDLL) -> None:
        super().__init__()
        self._native = native
        self._late = array.array("I", bytes(4 * _MOST_LATE))

    def add(self, plain: socket.socket) -> None:
        if self._native.listen_to(plain.fileno()):
            raise RuntimeError("too many open files")
        super().add(plain)

    def _hear(self, wanted: int, wait_s: float) -> int:
        late = self.late_us
        room, at = (0, None) if late is None else (len(self._late), self._late.buffer_info()[0])
        found = _Tally(0, 0, room, at)
        wait_ns = ctypes.c_int64(int(wait_s * 1e9))
        if closed := self._native.hear(self.fileno(), ctypes.c_int64(wanted), wait_ns, ctypes.byref(found)):
            raise RuntimeError(f"the server closed connection {closed} of {len(self)}")
        if late is not None:
            late += self._late[: found.kept]
        return int(found.heard)


def listeners() -> Listeners:
    """In C where there is a compiler."""
    native: Any = library("listeners")
    return Listeners() if native is None else NativeListeners(native)
