"""One WebSocket at the server's end: the protocol of its connection, from the handshake to the last byte.

What is said in one turn of the loop, answers and what is told, leaves in one write at its end. While the client does not read,
it is held here instead, within a bound and for some seconds; then the client is told that it is too slow.
"""

from __future__ import annotations

import asyncio
from socket import SO_SNDBUF, SOL_SOCKET
from typing import TYPE_CHECKING, Protocol, cast

from polis.gateway.websocket import frames
from polis.gateway.websocket.frames import BINARY, CLOSE, NORMAL, PING, TEXT, Fault
from polis.gateway.websocket.reader import Reader
from polis.gateway.websocket.spread import LEFT_OUT, Line
from polis.telemetry import metrics

if TYPE_CHECKING:
    from collections.abc import Callable

    from polis.gateway.websocket.sockets import Sockets

TOO_SLOW = 4408
UNREAD_S = 5.0
"""How long a client may leave unread what it is sent."""
PONG_S = 4.0
"""How long it may take to answer a ping."""
QUIET_S = 3.5
"""One that says nothing for so long behind what it was told is asked whether it is there."""
IDLE_S = 25.0
"""One that was told nothing either: less often, but before proxies and NATs forget the connection."""
LINGER_S = 2.0
"""How long a closed connection waits for the other side to close."""
_JOINED_BYTES = 16 * 1024
"""So much waits for the end of a turn; from there on a write of its own costs little beside its bytes."""
_KERNEL_BYTES = 128 * 1024
"""What the kernel holds for one client: by itself it would take megabytes of each that does not read."""
_PING = frames.frame(PING, b"")
_MESSAGES = (TEXT, BINARY)


class Session(Protocol):
    """Who speaks on a socket. told_at: when it was last told anything, by the loop's clock."""

    @property
    def told_at(self) -> float: ...

    def receive(self, message: str | bytes) -> None:
        """Take a whole message: a text, or bytes."""

    def look(self) -> None:
        """A second has passed: look whether it may go on."""

    def lost(self) -> None:
        """Nothing is sent or received any more."""


class WebSocket(asyncio.Protocol):
    """`write` takes whole frames, as `frames` makes them, any number of them in one piece; it never waits."""

    __slots__ = (
        "_due",
        "_due_bytes",
        "_held",
        "_held_bytes",
        "_number",
        "_paused_at",
        "_pinged_at",
        "_put",
        "_reader",
        "_sockets",
        "_transport",
        "_until",
        "heard_at",
        "session",
    )

    def __init__(self, sockets: Sockets) -> None:
        self._sockets = sockets
        self._reader: Reader | None = Reader(sockets.bounds.message_bytes)
        self._due: list[bytes] = []
        self._due_bytes = 0
        self._held: list[bytes] | None = None
        self._held_bytes = 0
        self._paused_at = self._pinged_at = self._until = 0.0
        self.heard_at = sockets.loop.time()
        self.session: Session | None = None
        self._transport: asyncio.Transport
        self._number = LEFT_OUT
        self._put: Callable[[bytes], None] = _into_nothing
        """Where what is written goes: to the transport while the client keeps up."""

    # What the session does

    def write(self, data: bytes, /) -> None:
        if not self._due:
            self._sockets.busy.add(self._number)
            self._sockets.loop.call_soon(self._flush)
        self._due.append(data)
        self._due_bytes += len(data)
        if self._due_bytes > _JOINED_BYTES:
            self._flush()

    def _flush(self) -> None:
        """Send what was written in this turn."""
        due = self._due
        if due:
            self._due, self._due_bytes = [], 0
            self._put(due[0] if len(due) == 1 else b"".join(due))

    def _waiting(self) -> int:
        return self._due_bytes or self._transport.get_write_buffer_size()

    def line(self) -> Line | None:
        """Good until the session has ended, which is before the socket's number can be another's."""
        if self._number == LEFT_OUT:
            return None
        return Line(self._number, self._waiting, self._sockets.busy)

    def close(self, code: int, reason: str = "") -> None:
        """Say goodbye. What the client has not read is dropped, but for what the transport has taken."""
        if not self._until:
            metrics.live_closed.labels(str(code)).inc()
            self._say_goodbye(code, reason)

    def _say_goodbye(self, code: int, reason: str = "") -> None:
        if self._held is None:
            self._flush()
        self._end_session()
        self._until = self._sockets.loop.time() + LINGER_S
        self._transport.write(frames.closing(code, reason))

    def _end_session(self) -> None:
        self._put = _into_nothing
        self._held = None
        session, self.session = self.session, None
        if session is not None:
            session.lost()

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        plain = transport.get_extra_info("socket")
        if plain is not None:
            plain.setsockopt(SOL_SOCKET, SO_SNDBUF, _KERNEL_BYTES)
            if transport.get_extra_info("sslcontext") is None:
                self._number = plain.fileno()
        self._put = self._transport.write
        self._sockets.busy.add(self._number)  # the answer to the handshake may be in it still
        self._sockets.opened(self)

    def data_received(self, data: bytes) -> None:
        self.heard_at = now = self._sockets.loop.time()
        self._pinged_at = 0.0
        if self._reader is None:
            return
        count = 0
        try:
            for kind, payload in self._reader.feed(data):
                count += 1
                self._take(kind, payload)
        except Fault as fault:
            self._reader = None  # who knows where its next frame begins
            self.close(fault.code, fault.reason)
        if count:
            self._sockets.pace(self, count, now)

    def _take(self, kind: int, payload: str | bytes) -> None:
        if kind in _MESSAGES:
            if self.session is not None:
                self.session.receive(payload)
        elif kind == PING:
            self.write(frames.frame(frames.PONG, cast("bytes", payload)))
        elif kind == CLOSE:
            self._closed(cast("bytes", payload))

    def _closed(self, payload: bytes) -> None:
        """The client closes, or answers our close: then the connection is at its end (RFC 6455 7.1.1)."""
        code = frames.code_of(payload)
        if not self._until:
            self._say_goodbye(NORMAL if code is None else code)
        self._transport.close()

    def eof_received(self) -> None:
        """Whoever closes without a close frame is gone; what was held for it, too."""
        self._end_session()

    def pause_writing(self) -> None:
        """The client does not keep up: from now on what is sent is held here."""
        self._paused_at = self._sockets.loop.time()
        if not self._until:
            self._held, self._held_bytes = [], 0
            self._put = self._hold

    def _hold(self, data: bytes) -> None:
        held = self._held
        if held is None:
            return
        self._held_bytes += len(data)
        if self._held_bytes > self._sockets.bounds.held_bytes:
            self.close(TOO_SLOW, "too much is unread")
        else:
            held.append(data)

    def resume_writing(self) -> None:
        self._paused_at = 0.0
        held, self._held = self._held, None
        if held is None:
            return
        self._put = self._transport.write
        if held:
            self._sockets.busy.add(self._number)
            self._put(b"".join(held))

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._end_session()
        self._until = self._until or self._sockets.loop.time()
        self._sockets.busy.discard(self._number)
        self._sockets.closed(self)

    # What the sweep does

    def look(self, now: float) -> None:
        """Once a second: whether the client reads, answers, and goes in time."""
        if self._until:
            if now >= self._until:
                self._transport.abort()
            return
        if self._paused_at:
            if now - self._paused_at >= UNREAD_S:
                self.close(TOO_SLOW, "too much is unread")
        elif self._pinged_at:
            if now - self._pinged_at >= PONG_S:
                self.close(TOO_SLOW, "a ping is unanswered")
        elif self.session is not None and self._is_quiet(self.session, now - self.heard_at):
            self._pinged_at = now
            self.write(_PING)
        if self.session is not None:
            self.session.look()

    def _is_quiet(self, session: Session, silent_s: float) -> bool:
        """Whether it is to be asked. Most are not, and few steps find that out."""
        return silent_s >= QUIET_S and (silent_s >= IDLE_S or session.told_at >= self.heard_at)

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()


def _into_nothing(_: bytes) -> None:
    """There is nobody any more."""
