"""The bus: publish, subscribe, request. One connection, made again for ever; the hot paths know no task and no timer.

What is in flight at a cut fails with Disconnected. What is published while there is no connection waits, within a bound.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import TypeVar

from polis.bus import joined
from polis.bus.connection import Login
from polis.bus.errors import (
    BusError,
    BusTimeout,
    Disconnected,
    PayloadTooLarge,
    PermissionViolation,
)
from polis.bus.inbox import Inbox, Taker, Way
from polis.bus.joined import Joint
from polis.bus.link import Address, Link
from polis.bus.message import Message
from polis.bus.protocol import Headers, check_subject, encode_headers, subscribe_line, unsubscribe_line
from polis.bus.servers import Servers
from polis.bus.subscription import OnMessage, Subscription
from polis.bus.writer import Writer
from polis.telemetry import log

T = TypeVar("T")

_CONFIRM_S = 5.0
_CLOSE_S = 1.0
_INBOX_SID = 1
_KNOWN_SUBJECTS = 4096


class Bus:
    """Made by `Bus.connect`. All methods belong to the event loop that made it."""

    def __init__(self, address: Address, inbox_prefix: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._writer = Writer()
        self._inbox = Inbox(self, _INBOX_SID, inbox_prefix)
        self._subscriptions: dict[bytes, Subscription] = {b"%d" % _INBOX_SID: self._inbox}
        self._last_sid = _INBOX_SID
        self._ways: dict[str, Way] = {}
        self._link = Link(
            address,
            self._writer,
            self._subscriptions,
            on_error=self._on_error,
            on_lost=self._on_lost,
            on_back=self._on_back,
        )
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
        bus = cls(Address(servers, login, servers.context(tls)), inbox_prefix)
        try:
            await bus._link.start(connect_timeout_s)
            await bus._confirm(bus._inbox)
        except BaseException:
            await bus.close()
            raise
        return bus

    @property
    def connected(self) -> bool:
        """Whether there is a logged-in connection; a frozen broker looks connected until its pings fail."""
        return self._link.connection is not None

    def new_inbox(self) -> str:
        """A subject of our own on which parts of a longer answer can be received."""
        return self._inbox.new_subject()

    # Sending

    def publish(
        self, subject: str, payload: bytes, *, headers: Headers | None = None, reply: str = ""
    ) -> None:
        """Send at the end of this turn of the loop. BufferFull, PayloadTooLarge, or ValueError: not sent."""
        check_subject(subject)
        head = encode_headers(headers)
        if reply:
            check_subject(reply)
            self._send(f"{subject} {reply}", head, payload)
        else:
            self._send(subject, head, payload)

    def answer(self, message: Message, payload: bytes, *, headers: Headers | None = None) -> None:
        """Like `publish` to who sent a message: the broker has checked that subject. Nothing, when no answer is awaited."""
        if message.reply:
            head = encode_headers(headers)
            if not self._goes_along(message.joint, message.number, head, payload):
                self._send(message.reply, head, payload)

    def _send(self, address: str, head: bytes, payload: bytes) -> None:
        size = len(head) + len(payload)
        if size > self._link.max_payload:
            raise PayloadTooLarge(
                f"{size} bytes are more than the {self._link.max_payload} that the broker takes"
            )
        self._writer.message(joined.line(address, head, len(payload)) + head, payload)

    def _goes_along(self, joint: Joint | None, number: int, head: bytes, payload: bytes) -> bool:
        """Send it with what else goes there; not what has to go alone."""
        if joint is None or len(head) + len(payload) > joined.MOST_BYTES:
            return False
        self._writer.join(joint, number, head, payload)
        return True

    def _ask(self, way: Way, number: int, payload: bytes, headers: Headers | None) -> None:
        try:
            head = encode_headers(headers)
            if not self._goes_along(way.joint, number, head, payload):
                self._send(f"{way.address}{number}", head, payload)
        except (BusError, ValueError):
            way.wheel.pop(number)
            raise

    def ask(
        self,
        subject: str,
        payload: bytes,
        *,
        headers: Headers | None = None,
        timeout_s: float,
        read: Callable[[Message], T],
    ) -> asyncio.Future[T]:
        """Like `request`, without waiting: the future gets what `read` makes of the reply, or the BusError it raises."""
        way = self._ways.get(subject) or self._way(subject)
        if self._link.connection is None:
            raise Disconnected("there is no connection to the broker")
        number, future = self._inbox.expect(way, timeout_s, read)
        self._ask(way, number, payload, headers)
        return future

    def ask_for(
        self,
        taker: Taker,
        subject: str,
        payload: bytes,
        *,
        headers: Headers | None = None,
        timeout_s: float,
    ) -> None:
        """Like `ask`, without a future: the taker gets the reply or the BusError. Raises what `ask` raises at once."""
        way = self._ways.get(subject) or self._way(subject)
        if self._link.connection is None:
            raise Disconnected("there is no connection to the broker")
        number = way.wheel.add((taker, subject, None), timeout_s)
        self._ask(way, number, payload, headers)

    async def request(
        self, subject: str, payload: bytes, *, headers: Headers | None = None, timeout_s: float
    ) -> Message:
        """Send and await the first reply.

        NoResponders, BusTimeout, PermissionViolation, Disconnected (at once when there is no connection).
        """
        way = self._ways.get(subject) or self._way(subject)
        if self._link.connection is None:
            raise Disconnected("there is no connection to the broker")
        number, future = self._inbox.expect(way, timeout_s, None)
        try:
            self._ask(way, number, payload, headers)
            reply: Message = await future
        except BaseException:
            way.wheel.pop(number)
            raise
        return reply

    def _way(self, subject: str) -> Way:
        """Made once for each subject that is asked on: they are few."""
        check_subject(subject)
        way = self._inbox.way(subject)
        if len(self._ways) < _KNOWN_SUBJECTS:
            self._ways[subject] = way
        return way

    async def round_trip(self, timeout_s: float) -> float:
        """Seconds until the server has taken all that was sent before. BusTimeout, Disconnected."""
        started = monotonic()
        try:
            async with asyncio.timeout(timeout_s):
                if self._link.connection is None:
                    raise Disconnected("there is no connection to the broker")
                await self._link.connection.ping()
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
        if self._link.connection is not None:
            self._writer.control(subscribe_line(subject, queue, subscription.sid))
        try:
            await self._confirm(subscription)
        except BaseException:
            self.unsubscribe(subscription)
            raise
        return subscription

    async def _confirm(self, subscription: Subscription) -> None:
        with suppress(Disconnected):  # then it is sent again with the next connection
            await self.round_trip(_CONFIRM_S)
        if subscription.refused:
            raise PermissionViolation(subscription.refused)

    def unsubscribe(self, subscription: Subscription) -> None:
        if self._subscriptions.pop(b"%d" % subscription.sid, None) and self._link.connection is not None:
            self._writer.control(unsubscribe_line(subscription.sid))

    async def drain(self, subscription: Subscription, timeout_s: float) -> None:
        if self._link.connection is not None:
            self._writer.control(unsubscribe_line(subscription.sid))
            try:
                await self.round_trip(timeout_s)
            except (BusTimeout, Disconnected):
                log.warning("bus.drain_cut_short", subject=subscription.subject)
        self._subscriptions.pop(b"%d" % subscription.sid, None)

    def _on_error(self, text: str) -> None:
        """A permission error names its subject: those who wait for it learn of it, and the hooks in any case."""
        log.error("bus.refused", text=text)
        if not text.lower().startswith("permissions violation"):
            return
        subject = text.partition('"')[2].partition('"')[0]
        if "for Publish" in text:
            self._inbox.fail(subject, PermissionViolation, text)
        else:
            self._refuse(subject, text)
        for hook in self.on_violation:
            self._loop.call_soon(hook, text)

    def _refuse(self, subject: str, text: str) -> None:
        for subscription in self._subscriptions.values():
            if subscription.subject == subject:
                subscription.refused = text

    def _on_lost(self, reason: str) -> None:
        self._inbox.fail_all(Disconnected, reason)

    def _on_back(self) -> None:
        for hook in self.on_reconnect:
            self._loop.call_soon(hook)

    async def close(self) -> None:
        """Write what waits, then end the connection. Requests in flight fail with Disconnected."""
        self._writer.close()
        self._inbox.fail_all(Disconnected, "the bus was closed")
        self._inbox.close()
        await self._link.close(_CLOSE_S)
