"""The bus: publish, subscribe, request. One connection, made again for ever; the hot paths know no task and no timer.

What is in flight at a cut fails with Disconnected. What is published while there is no connection waits, within a bound.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Callable, Mapping
from time import monotonic
from typing import TypeVar

from polis.bus.connection import Connection, Info, Login
from polis.bus.errors import (
    AuthenticationFailed,
    BusError,
    BusTimeout,
    Disconnected,
    PayloadTooLarge,
    PermissionViolation,
)
from polis.bus.inbox import Inbox
from polis.bus.message import Message
from polis.bus.protocol import check_subject, encode_headers, subscribe_line, unsubscribe_line
from polis.bus.servers import Servers
from polis.bus.subscription import OnMessage, Subscription
from polis.bus.writer import Writer
from polis.telemetry import log

T = TypeVar("T")

_BACKOFF_S = (0.1, 2.0)
"""The first and the longest wait between two attempts to connect; each is shortened at random by up to half."""
_STEADY_S = 5.0
"""A connection that lived this long was a good one: after its end the first attempt does not wait."""
_HANDSHAKE_S = 5.0
_CONFIRM_S = 5.0
_CLOSE_S = 1.0
_INBOX_SID = 1
_CHECKED_SUBJECTS = 4096


class Bus:
    """Made by `Bus.connect`. All methods belong to the event loop that made it."""

    def __init__(self, servers: Servers, login: Login, tls: ssl.SSLContext | None, inbox_prefix: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._servers = servers
        self._login = login
        self._tls = servers.context(tls)
        self._writer = Writer()
        self._inbox = Inbox(self, _INBOX_SID, inbox_prefix)
        self._subscriptions: dict[bytes, Subscription] = {b"%d" % _INBOX_SID: self._inbox}
        self._last_sid = _INBOX_SID
        self._checked: set[str] = set()
        self._connection: Connection | None = None
        self._max_payload = Info().max_payload
        self.fault = ""
        self._keeper: asyncio.Task[None] | None = None
        self.on_reconnect: list[Callable[[], None]] = []
        self.on_violation: list[Callable[[str], None]] = []

    @classmethod
    async def connect(
        cls,
        url: str,
        *,
        name: str,
        user: str | None = None,
        password: str | None = None,
        inbox_prefix: str = "_INBOX",
        connect_timeout_s: float = 5.0,
        tls: ssl.SSLContext | None = None,
    ) -> Bus:
        """A connected bus. `url` may name several servers, separated by commas; `tls://` asks for TLS.

        Disconnected when no server answers in time, AuthenticationFailed or PermissionViolation when one refuses us.
        """
        servers = Servers(url)
        login = Login(name, user or servers.user, password or servers.password)
        bus = cls(servers, login, tls, inbox_prefix)
        try:
            async with asyncio.timeout(connect_timeout_s):
                await bus._start()
        except TimeoutError:
            await bus.close()
            told = f"no NATS server let us in within {connect_timeout_s:g} s: {bus.fault}"
            raise Disconnected(told) from None
        except BaseException:
            await bus.close()
            raise
        return bus

    @property
    def connected(self) -> bool:
        """Whether there is a logged-in connection; a frozen broker looks connected until its pings fail."""
        return self._connection is not None

    def new_inbox(self) -> str:
        """A subject of our own on which parts of a longer answer can be received."""
        return self._inbox.new_subject()

    # Sending

    def publish(
        self, subject: str, payload: bytes, *, headers: Mapping[str, str] | None = None, reply: str = ""
    ) -> None:
        """Send at the end of this turn of the loop. BufferFull, PayloadTooLarge, or ValueError: not sent."""
        check_subject(subject)
        if reply:
            check_subject(reply)
            self._send(f"{subject} {reply}", payload, headers)
        else:
            self._send(subject, payload, headers)

    def _send(self, address: str, payload: bytes, headers: Mapping[str, str] | None) -> None:
        size = len(payload)
        if headers:
            head = encode_headers(headers)
            size += len(head)
            line = f"HPUB {address} {len(head)} {size}\r\n".encode() + head
        else:
            line = f"PUB {address} {size}\r\n".encode()
        if size > self._max_payload:
            raise PayloadTooLarge(f"{size} bytes are more than the {self._max_payload} that the broker takes")
        self._writer.message(line, payload)

    def ask(
        self,
        subject: str,
        payload: bytes,
        *,
        headers: Mapping[str, str] | None = None,
        timeout_s: float,
        read: Callable[[Message], T],
    ) -> asyncio.Future[T]:
        """Like `request`, without waiting: the future gets what `read` makes of the reply, or the BusError it raises."""
        if subject not in self._checked:
            self._check(subject)
        if self._connection is None:
            raise Disconnected("there is no connection to the broker")
        number, future = self._inbox.expect(subject, timeout_s, read)
        try:
            self._send(f"{subject} {self._inbox.prefix}{number}", payload, headers)
        except (BusError, ValueError):
            self._inbox.forget(number)
            raise
        return future

    async def request(
        self, subject: str, payload: bytes, *, headers: Mapping[str, str] | None = None, timeout_s: float
    ) -> Message:
        """Send and await the first reply.

        NoResponders, BusTimeout, PermissionViolation, Disconnected (at once when there is no connection).
        """
        if subject not in self._checked:
            self._check(subject)
        if self._connection is None:
            raise Disconnected("there is no connection to the broker")
        number, future = self._inbox.expect(subject, timeout_s, None)
        try:
            self._send(f"{subject} {self._inbox.prefix}{number}", payload, headers)
            reply: Message = await future
        except BaseException:
            self._inbox.forget(number)
            raise
        return reply

    def _check(self, subject: str) -> None:
        """Once for each subject that is asked on: they are few."""
        check_subject(subject)
        if len(self._checked) < _CHECKED_SUBJECTS:
            self._checked.add(subject)

    async def round_trip(self, timeout_s: float) -> float:
        """Seconds until the server has taken all that was sent before. BusTimeout, Disconnected."""
        started = monotonic()
        try:
            async with asyncio.timeout(timeout_s):
                if self._connection is None:
                    raise Disconnected("there is no connection to the broker")
                await self._connection.ping()
        except TimeoutError:
            raise BusTimeout(f"no answer to a ping within {timeout_s:g} s") from None
        return monotonic() - started

    async def flush(self, timeout_s: float) -> None:
        """Wait until the server has taken all that was sent before. BusTimeout, Disconnected."""
        await self.round_trip(timeout_s)

    # Receiving

    async def subscribe(self, subject: str, on_message: OnMessage, *, queue: str = "") -> Subscription:
        """Call `on_message` for each message, from within the parser: it must not block.

        Returned when the server has confirmed it; while there is no connection at once, to take effect with the next.
        PermissionViolation when the server refuses it, BusTimeout when it does not answer.
        """
        check_subject(subject)
        self._last_sid += 1
        subscription = Subscription(self, self._last_sid, subject, queue, on_message)
        self._subscriptions[b"%d" % subscription.sid] = subscription
        if self._connection is not None:
            self._writer.control(subscribe_line(subject, queue, subscription.sid))
            await self._confirm(subscription)
        if subscription.refused:
            self.unsubscribe(subscription)
            raise PermissionViolation(subscription.refused)
        return subscription

    async def _confirm(self, subscription: Subscription) -> None:
        try:
            await self.round_trip(_CONFIRM_S)
        except Disconnected:
            pass  # it is made again with the next connection
        except BaseException:
            self.unsubscribe(subscription)
            raise

    def unsubscribe(self, subscription: Subscription) -> None:
        if self._subscriptions.pop(b"%d" % subscription.sid, None) and self._connection is not None:
            self._writer.control(unsubscribe_line(subscription.sid))

    async def drain(self, subscription: Subscription, timeout_s: float) -> None:
        if self._connection is not None:
            self._writer.control(unsubscribe_line(subscription.sid))
            try:
                await self.round_trip(timeout_s)
            except (BusTimeout, Disconnected):
                log.warning("bus.drain_cut_short", subject=subscription.subject)
        self._subscriptions.pop(b"%d" % subscription.sid, None)

    def _on_error(self, text: str) -> None:
        """A permission error names its subject: those who wait on it learn of it, and the hooks in any case."""
        log.error("bus.refused", text=text)
        if not text.lower().startswith("permissions violation"):
            return
        subject = text.partition('"')[2].partition('"')[0]
        self._inbox.fail(subject, PermissionViolation, text)
        for subscription in self._subscriptions.values():
            if subscription.subject == subject and "Subscription" in text:
                subscription.refused = text
        for hook in self.on_violation:
            self._loop.call_soon(hook, text)

    def _on_info(self, info: Info) -> None:
        """Told with each connection, and again when a cluster changes."""
        self._servers.learn(info.connect_urls)
        self._max_payload = info.max_payload

    # The connection

    async def _start(self) -> None:
        connection = await self._dial(attempt=0)
        self._adopt(connection)
        await connection.ping()
        if self._inbox.refused:
            raise PermissionViolation(self._inbox.refused)
        self._keeper = self._loop.create_task(self._keep(connection), name="bus")

    async def _keep(self, connection: Connection) -> None:
        """Connect again whenever the connection is lost, until the bus is closed."""
        attempt = 0
        while True:
            since = monotonic()
            self._drop(await connection.lost)
            attempt = 0 if monotonic() - since > _STEADY_S else attempt + 1
            connection = await self._dial(attempt)
            self._adopt(connection)
            log.info("bus.reconnected", server=str(connection.server))
            for hook in self.on_reconnect:
                self._loop.call_soon(hook)

    async def _dial(self, attempt: int) -> Connection:
        """Try server after server until one lets us in. AuthenticationFailed on the very first connection only."""
        while True:
            if attempt:
                await asyncio.sleep(_backoff_s(attempt))
            for server in self._servers.next_round():
                connection = Connection(
                    server,
                    self._writer,
                    subscriptions=self._subscriptions,
                    on_error=self._on_error,
                    on_info=self._on_info,
                )
                try:
                    async with asyncio.timeout(_HANDSHAKE_S):
                        await connection.open(self._login, self._tls)
                except AuthenticationFailed:
                    if self._keeper is None:
                        raise
                except (OSError, BusError) as error:
                    self.fault = f"{server}: {error or type(error).__name__}"
                    log.debug("bus.unreachable", server=str(server), error=str(error))
                else:
                    return connection
            attempt += 1

    def _adopt(self, connection: Connection) -> None:
        """Make it the connection: all subscriptions first, then what waited for it."""
        lines = [subscribe_line(s.subject, s.queue, s.sid) for s in self._subscriptions.values()]
        connection.transport.write(b"".join(lines))
        self._writer.attach(connection.transport)
        self._connection = connection
        connection.on_lost = self._drop

    def _drop(self, reason: str) -> None:
        """The connection is gone: whoever awaits an answer learns it now."""
        if self._connection is None:
            return
        self._connection = None
        self._writer.detach()
        self._inbox.fail_all(Disconnected, reason)
        log.warning("bus.disconnected", reason=reason)

    async def close(self) -> None:
        """Write what waits, then end the connection. Requests in flight fail with Disconnected."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait((self._keeper,))
        self._writer.close()
        self._inbox.fail_all(Disconnected, "the bus was closed")
        self._inbox.close()
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close(_CLOSE_S)


def _backoff_s(attempt: int) -> float:
    first, longest = _BACKOFF_S
    return min(longest, first * 2.0 ** min(attempt - 1, 10)) * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
