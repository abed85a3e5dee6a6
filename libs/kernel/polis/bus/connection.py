"""One connection to one server: handshake, what the server says beside messages, and keep-alive."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Mapping
from typing import cast

import msgspec

from polis.bus.errors import AuthenticationFailed, Disconnected
from polis.bus.protocol import PING, PONG, Parser, Receiver
from polis.bus.servers import Server
from polis.bus.writer import Writer

PING_S = 5.0
"""How often the server is asked whether it lives."""
_MISSED_PINGS = 2
"""So many unanswered pings end a connection: TCP alone would not notice a frozen broker for minutes."""


class Info(msgspec.Struct, frozen=True):
    """What a server says of itself."""

    max_payload: int = 1024 * 1024
    connect_urls: tuple[str, ...] = ()
    tls_available: bool = False
    tls_required: bool = False


class Login(msgspec.Struct, frozen=True):
    """Who we are. The rest of CONNECT is the same for all: headers, no-responders, no echo of each command."""

    name: str
    user: str | None
    password: str | None

    def __repr__(self) -> str:
        return f"Login({self.name!r}, {self.user!r})"

    def line(self, *, tls: bool) -> bytes:
        told = {"name": self.name, "tls_required": tls, "lang": "python", "version": "polis", "protocol": 1}
        told |= {"verbose": False, "pedantic": False, "headers": True, "no_responders": True}
        if self.user is not None:
            told |= {"user": self.user, "pass": self.password or ""}
        return b"CONNECT " + msgspec.json.encode(told) + b"\r\n"


class Connection(asyncio.Protocol):
    """`lost` is done, with the reason, when the connection has ended, whichever side ended it."""

    def __init__(
        self,
        server: Server,
        writer: Writer,
        *,
        subscriptions: Mapping[bytes, Receiver],
        on_error: Callable[[str], None],
        on_info: Callable[[Info], None],
    ) -> None:
        self.server = server
        self._loop = asyncio.get_running_loop()
        self._writer = writer
        self._parser = Parser(subscriptions, self._on_control)
        self._on_error = on_error
        self._on_info = on_info
        self._pongs: deque[asyncio.Future[None] | None] = deque()
        self._unanswered = 0
        self._timer: asyncio.TimerHandle | None = None
        self._fault: str = ""
        self._greeted: asyncio.Future[None] = self._loop.create_future()
        self.lost: asyncio.Future[str] = self._loop.create_future()
        self.on_lost: Callable[[str], None] = _nothing
        self.info = Info()
        self.transport: asyncio.Transport

    async def open(self, login: Login, tls: ssl.SSLContext | None) -> None:
        """Log in to the server. OSError, Disconnected or AuthenticationFailed when that fails."""
        await self._loop.create_connection(lambda: self, self.server.host, self.server.port)
        try:
            await self._greeted
            await self._secure(tls)
            self.transport.write(login.line(tls=tls is not None) + PING)
            await self._expect_pong()
        except BaseException:
            self.abort("the handshake was given up")
            raise
        self._timer = self._loop.call_later(PING_S, self._keep_alive)

    async def _secure(self, context: ssl.SSLContext | None) -> None:
        """Before anything secret is said. Disconnected when the two sides do not agree on TLS."""
        if context is None:
            if self.info.tls_required:
                raise Disconnected(f"{self.server} speaks TLS only: its URL begins with tls://")
            return
        if not (self.info.tls_required or self.info.tls_available):
            raise Disconnected(f"{self.server} does not speak TLS")
        upgraded = await self._loop.start_tls(
            self.transport, self, context, server_hostname=self.server.tls_name
        )
        if upgraded is None:
            raise Disconnected(f"{self.server} hung up in the TLS handshake")
        self.transport = upgraded

    def ping(self) -> asyncio.Future[None]:
        """Done when the server has taken all that was sent before. Disconnected at a cut."""
        if self.lost.done():
            raise Disconnected(self.lost.result())
        self._writer.control(PING)
        return self._expect_pong()

    def abort(self, reason: str) -> None:
        """End the connection at once, without waiting for the other side."""
        self._fault = self._fault or reason
        self.transport.abort()

    async def close(self, timeout_s: float) -> None:
        """End the connection after what was written has left, or at the end of the time."""
        self.transport.close()
        await asyncio.wait((self.lost,), timeout=timeout_s)
        self.transport.abort()

    def _expect_pong(self) -> asyncio.Future[None]:
        answered: asyncio.Future[None] = self._loop.create_future()
        self._pongs.append(answered)
        return answered

    def _keep_alive(self) -> None:
        if self._unanswered >= _MISSED_PINGS:
            self.abort(f"no answer to {_MISSED_PINGS} pings")
            return
        self._unanswered += 1
        self._writer.control(PING)
        self._pongs.append(None)
        self._timer = self._loop.call_later(PING_S, self._keep_alive)

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed(data)
        except (ValueError, IndexError) as error:
            self.abort(f"not the NATS protocol: {error}")

    def connection_lost(self, error: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        reason = self._fault or (str(error) if error else "the server closed the connection")
        failure = AuthenticationFailed if "authorization" in reason.lower() else Disconnected
        for waiting in (self._greeted, *self._pongs):
            if waiting is not None and not waiting.done():
                waiting.set_exception(failure(reason))
                waiting.exception()  # nobody may wait any more, and asyncio would report that
        self._pongs.clear()
        if not self.lost.done():
            self.lost.set_result(reason)
            self.on_lost(reason)

    def pause_writing(self) -> None:
        self._writer.pause()

    def resume_writing(self) -> None:
        self._writer.resume()

    # What the server says

    def _on_control(self, line: bytes) -> None:
        word = line[:4].upper()
        if word == b"PONG":
            self._unanswered = 0
            waiting = self._pongs.popleft()
            if waiting is not None and not waiting.done():
                waiting.set_result(None)
        elif word == b"PING":
            self.transport.write(PONG)
        elif word == b"-ERR":
            self._refused(line[4:].strip().strip(b"'").decode("utf-8", "replace"))
        elif word == b"INFO":
            self.info = msgspec.json.decode(line[4:], type=Info)
            self._on_info(self.info)
            if not self._greeted.done():
                self._greeted.set_result(None)

    def _refused(self, text: str) -> None:
        """Permission errors concern one subject; after any other error the server hangs up, and this is the reason."""
        if not text.lower().startswith("permissions violation"):
            self._fault = text
        self._on_error(text)


def _nothing(_: str) -> None:
    """Nobody has adopted the connection yet."""
