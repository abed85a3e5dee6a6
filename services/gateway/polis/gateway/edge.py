"""What the connections of one port share: where requests go, how many connections there may be, in all and of a site, one timer for all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from polis.gateway.connection import Connection
from polis.gateway.sections import Sections
from polis.telemetry import metrics

if TYPE_CHECKING:
    import asyncio

    from polis.gateway.live import Live
    from polis.gateway.proxy import Proxy
    from polis.gateway.sites import Sites

_SWEEP_S = 1.0
_TURNED_AWAY = 100
"""So many for whom there is no room are told so at a time; more are cut off."""


class Edge:
    """Makes connections, and ends those whose client takes too long."""

    def __init__(self, proxy: Proxy, live: Live, sites: Sites, *, connections: int) -> None:
        self.proxy = proxy
        self.live = live
        self.sites = sites
        self.sections = Sections()
        self.connections: set[Connection] = set()
        self._turned_away: set[Connection] = set()
        self._max = connections
        self._timer: asyncio.TimerHandle | None = None

    def connection(self, **given: Any) -> Connection:
        """What uvicorn calls for each connection."""
        return Connection(self, **given)

    def opened(self, connection: Connection) -> None:
        """Take it, where there is room for it."""
        site = connection.site
        if not self.sites.has_room(site):
            self.sites.refused(site)
            connection.cut_off()
            return
        if len(self.connections) < self._max:
            self.connections.add(connection)
            self.sites.enter(site)
        else:
            metrics.connections_refused.labels("all").inc()
            if len(self._turned_away) >= _TURNED_AWAY:
                connection.cut_off()
                return
            self._turned_away.add(connection)
            connection.turn_away()
        if self._timer is None:
            self._timer = connection.loop.call_later(_SWEEP_S, self._sweep, connection.loop)

    def closed(self, connection: Connection) -> None:
        """It has ended, or is no connection of HTTP any more."""
        if connection in self.connections:
            self.connections.remove(connection)
            self.sites.leave(connection.site)
        self._turned_away.discard(connection)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for connection in [c for c in (*self.connections, *self._turned_away) if c.overdue(now)]:
            connection.give_up()
        goes_on = self.connections or self._turned_away
        self._timer = loop.call_later(_SWEEP_S, self._sweep, loop) if goes_on else None
