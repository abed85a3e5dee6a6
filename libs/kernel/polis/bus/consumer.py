"""A durable pull consumer with an own fetch loop: it outlives lost pulls, restarts, redeclared consumers, wiped stores.

Each pull is short, and the server's heart beats while it is open. A pull that ends, falls silent or dies with its
connection is followed by the next one; nothing is remembered that a new pull would not tell again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from time import monotonic

import msgspec

from polis.bus import api
from polis.bus.api import Answer
from polis.bus.client import Bus
from polis.bus.delivery import Delivery
from polis.bus.errors import BusError, BusTimeout, Disconnected, PermissionViolation
from polis.bus.message import Message
from polis.bus.subscription import Subscription
from polis.telemetry import log

BATCH = 256
"""Messages that may wait in this process; more are fetched when half of them are taken."""
EXPIRES_S = 10.0
HEARTBEAT_S = 2.0
SILENCE_S = 2.5 * HEARTBEAT_S
"""A pull is taken for lost when two heartbeats are missing."""
WATCHDOG_S = 10.0
"""After so long without a message the server is asked whether any wait for us."""
_RETRY_S = (0.1, 0.2, 0.5, 1.0, 2.0)

_HEARTBEAT, _NOTHING, _TIME_IS_OVER = 100, 404, 408


class _Pull(msgspec.Struct, frozen=True):
    """What a pull asks for; times are nanoseconds."""

    batch: int
    expires: int = int(EXPIRES_S * 1e9)
    idle_heartbeat: int = int(HEARTBEAT_S * 1e9)


class _Config(msgspec.Struct, frozen=True):
    max_ack_pending: int = -1


class _Info(Answer, frozen=True):
    num_pending: int = 0
    num_ack_pending: int = 0
    config: _Config = _Config()

    @property
    def withheld(self) -> bool:
        """Whether messages wait that the server should have delivered: there are some, and room for one more."""
        limit = self.config.max_ack_pending
        return self.num_pending > 0 and (limit <= 0 or self.num_ack_pending < limit)


_info = msgspec.json.Decoder(_Info)


class PullConsumer:
    """Bound to a durable that `admin` has declared; while there is none, it waits for it."""

    def __init__(self, bus: Bus, stream: str, durable: str) -> None:
        self._bus = bus
        self._name = f"{stream}.{durable}"
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{self._name}"
        self._queue: deque[Delivery] = deque()
        self._stirred = asyncio.Event()
        self._inbox = ""
        self._pulls = 0
        self._owed = 0
        self._troubles = 0
        self._refused = ""
        self._received_at = monotonic()

    async def messages(self) -> AsyncIterator[Delivery]:
        """Deliveries, for ever. PermissionViolation when this user may not pull from the consumer."""
        subscription = await self._bind()
        self._bus.on_reconnect.append(self._pull_died)
        self._bus.on_violation.append(self._on_violation)
        try:
            while True:
                if self._queue:
                    yield self._queue.popleft()
                    if not self._owed and not self._troubles and len(self._queue) <= BATCH // 2:
                        self._pull()
                elif await self._await_more():
                    subscription.unsubscribe()
                    subscription = await self._bind()
        finally:
            self._bus.on_reconnect.remove(self._pull_died)
            self._bus.on_violation.remove(self._on_violation)
            subscription.unsubscribe()

    def in_hand(self) -> list[Delivery]:
        """What has come and was not given out yet: it is the caller's now."""
        found = list(self._queue)
        self._queue.clear()
        return found

    async def _bind(self) -> Subscription:
        while True:
            self._inbox = self._bus.new_inbox()
            self._owed = 0
            with suppress(BusTimeout):
                return await self._bus.subscribe(f"{self._inbox}.*", self._receive)

    async def _await_more(self) -> bool:
        """Wait until something happens, with a pull open; True when the subscription is to be made anew."""
        if self._refused:
            raise PermissionViolation(self._refused)
        self._stirred.clear()
        if not self._owed:
            await self._retry_wait()
            self._pull()
        try:
            async with asyncio.timeout(SILENCE_S):
                await self._stirred.wait()
        except TimeoutError:
            self._owed = 0
        if self._queue or monotonic() - self._received_at < WATCHDOG_S:
            return False
        return await self._is_starved()

    async def _retry_wait(self) -> None:
        if self._troubles:
            await asyncio.sleep(_RETRY_S[min(self._troubles, len(_RETRY_S)) - 1])

    def _pull(self) -> None:
        """Ask for what there is room for; without a connection not now, but when it is back."""
        if not self._bus.connected:
            return
        self._pulls += 1
        room = BATCH - len(self._queue)
        with suppress(Disconnected):
            request = msgspec.json.encode(_Pull(room))
            self._bus.publish(self._next, request, reply=f"{self._inbox}.{self._pulls}")
            self._owed = room

    def _receive(self, message: Message) -> None:
        if message.reply.startswith("$JS.ACK."):
            self._queue.append(Delivery(self._bus, message))
            self._owed = max(0, self._owed - 1)
            self._troubles = 0
            self._received_at = monotonic()
        elif message.subject == f"{self._inbox}.{self._pulls}" and message.status != _HEARTBEAT:
            self._pull_ended(message)
        self._stirred.set()

    def _pull_ended(self, message: Message) -> None:
        """By time, the ordinary end; or because consumer, stream or leader are gone: then the next one waits a little."""
        self._owed = 0
        if message.status in (_NOTHING, _TIME_IS_OVER):
            self._troubles = 0
            return
        self._troubles += 1
        if self._troubles == 1:
            log.warning(
                "consumer.refused",
                consumer=self._name,
                status=message.status,
                description=message.description,
            )

    def _pull_died(self) -> None:
        self._owed = 0
        self._stirred.set()

    def _on_violation(self, text: str) -> None:
        if f'"{self._next}"' in text:
            self._refused = text
            self._stirred.set()

    async def _is_starved(self) -> bool:
        """Whether the server holds messages back although a pull is open: seen after fail-overs, cured by a new inbox."""
        self._received_at = monotonic()
        try:
            info = await api.call(self._bus, f"CONSUMER.INFO.{self._name}", b"", _info)
        except BusError:
            return False
        if info.withheld:
            log.warning("consumer.starved", consumer=self._name, pending=info.num_pending)
        return info.withheld
