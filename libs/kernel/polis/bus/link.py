"""The way to the broker: one connection after another, for as long as the bus lives. Knows no requests."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Callable, Mapping
from time import monotonic

import msgspec

from polis.bus.connection import Connection, Info, Login
from polis.bus.errors import AuthenticationFailed, BusError, Disconnected
from polis.bus.protocol import subscribe_line
from polis.bus.servers import Servers
from polis.bus.subscription import Subscription
from polis.bus.writer import Writer
from polis.telemetry import log

_BACKOFF_S = (0.1, 2.0)
"""The first and the longest wait between two attempts to connect; each is shortened at random by up to half."""
_STEADY_S = 5.0
"""A connection that lived this long was a good one: after its end the first attempt does not wait."""
_HANDSHAKE_S = 5.0


class Address(msgspec.Struct, frozen=True):
    """Where to connect, and as whom."""

    servers: Servers
    login: Login
    tls: ssl.SSLContext | None


class Link:
    """`connection` is None while there is none; `fault` says why the last attempt failed.

    on_lost is called at the moment of a cut, on_back when all subscriptions have been sent again.
    """

    def __init__(
        self,
        address: Address,
        writer: Writer,
        subscriptions: Mapping[bytes, Subscription],
        *,
        on_error: Callable[[str], None],
        on_lost: Callable[[str], None],
        on_back: Callable[[], None],
    ) -> None:
        self._address = address
        self._writer = writer
        self._subscriptions = subscriptions
        self._on_error = on_error
        self._on_lost = on_lost
        self._on_back = on_back
        self._keeper: asyncio.Task[None] | None = None
        self.connection: Connection | None = None
        self.max_payload = Info().max_payload
        self.fault = "no attempt has ended yet"

    async def start(self, timeout_s: float) -> None:
        """Connect for the first time. Disconnected when that takes too long, AuthenticationFailed when we are refused."""
        try:
            async with asyncio.timeout(timeout_s):
                connection = await self._dial(attempt=0)
        except TimeoutError:
            raise Disconnected(f"no NATS server let us in within {timeout_s:g} s: {self.fault}") from None
        self._adopt(connection)
        self._keeper = asyncio.get_running_loop().create_task(self._keep(connection), name="bus")

    async def close(self, timeout_s: float) -> None:
        """End the connection when what was written has left, or at the end of the time."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait((self._keeper,))
        connection, self.connection = self.connection, None
        if connection is not None:
            await connection.close(timeout_s)

    async def _keep(self, connection: Connection) -> None:
        attempt = 0
        while True:
            since = monotonic()
            self._drop(await connection.lost)
            attempt = 0 if monotonic() - since > _STEADY_S else attempt + 1
            connection = await self._dial(attempt)
            self._adopt(connection)
            log.info("bus.reconnected", server=str(connection.server))
            self._on_back()

    async def _dial(self, attempt: int) -> Connection:
        """Try server after server until one lets us in; only the very first connection gives up on a wrong password."""
        while True:
            if attempt:
                await asyncio.sleep(_backoff_s(attempt))
            for server in self._address.servers.next_round():
                connection = Connection(
                    server,
                    self._writer,
                    subscriptions=self._subscriptions,
                    on_error=self._on_error,
                    on_info=self._on_info,
                )
                try:
                    async with asyncio.timeout(_HANDSHAKE_S):
                        await connection.open(self._address.login, self._address.tls)
                except (OSError, BusError) as error:
                    if isinstance(error, AuthenticationFailed) and self._keeper is None:
                        raise
                    self.fault = f"{server}: {error or type(error).__name__}"
                    log.debug("bus.unreachable", server=str(server), error=str(error))
                else:
                    return connection
            attempt += 1

    def _adopt(self, connection: Connection) -> None:
        """Make it the connection: all subscriptions go first, then what waited for it."""
        lines = [subscribe_line(s.subject, s.queue, s.sid) for s in self._subscriptions.values()]
        connection.transport.write(b"".join(lines))
        self._writer.attach(connection.transport)
        self.connection = connection
        connection.on_lost = self._drop

    def _drop(self, reason: str) -> None:
        if self.connection is None:
            return
        self.connection = None
        self._writer.detach()
        log.warning("bus.disconnected", reason=reason)
        self._on_lost(reason)

    def _on_info(self, info: Info) -> None:
        """Told with each connection, and again when a cluster changes."""
        self._address.servers.learn(info.connect_urls)
        self.max_payload = info.max_payload


def _backoff_s(attempt: int) -> float:
    first, longest = _BACKOFF_S
    return min(longest, first * 2.0 ** min(attempt - 1, 10)) * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
