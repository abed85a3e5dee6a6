"""What the connections of one port share: where requests go, how many connections there may be, one timer for all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from polis.gateway.connection import Connection

if TYPE_CHECKING:
    import asyncio

    from polis.gateway.live import Live
    from polis.gateway.proxy import Proxy

_SWEEP_S = 1.0


class Edge:
    """Makes connections, and ends those whose client takes too long."""

    def __init__(self, proxy: Proxy, live: Live, *, connections: int) -> None:
        self.proxy = proxy
        self.live = live
        self.connections: set[Connection] = set()
        self._max = connections
        self._timer: asyncio.TimerHandle | None = None

    def connection(self, **given: Any) -> Connection:
        """What uvicorn calls for each connection."""
        return Connection(self, **given)

    def opened(self, connection: Connection) -> bool:
        """Whether there is room for it."""
        if len(self.connections) >= self._max:
            return False
        self.connections.add(connection)
        if self._timer is None:
            self._timer = connection.loop.call_later(_SWEEP_S, self._sweep, connection.loop)
        return True

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for connection in [c for c in self.connections if c.overdue(now)]:
            connection.give_up()
        self._timer = loop.call_later(_SWEEP_S, self._sweep, loop) if self.connections else None
