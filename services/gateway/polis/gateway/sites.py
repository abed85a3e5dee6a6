"""How many connections each site has at the public port: who holds all of them keeps everybody else out.

What counts is who connects, for nothing is said yet. Trusted proxies are no site: behind them are many, and they bound
these. This machine is one as any other.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from typing import TYPE_CHECKING

from polis.gateway.proxies import site_of
from polis.telemetry import log, metrics

if TYPE_CHECKING:
    from polis.gateway.proxies import Proxies

_TELL_S = 10.0
"""Between two lines of the log about who was not let in."""


class Sites:
    """Counts the connections that are open; at most `most` are of one site."""

    def __init__(self, proxies: Proxies, *, most: int) -> None:
        self._proxies = proxies
        self._most = most
        self._open: Counter[str] = Counter()
        self._untold = 0
        self._tell_at = -math.inf

    def of(self, peer: str) -> str:
        """The site of who connects; none of a trusted proxy."""
        return "" if self._proxies.trusts(peer) else site_of(peer)

    def has_room(self, site: str, *, besides: int = 0) -> bool:
        """Whether one more may come. besides: what it has that is not open yet."""
        return not site or self._open[site] + besides < self._most

    def enter(self, site: str) -> None:
        if site:
            self._open[site] += 1

    def leave(self, site: str) -> None:
        if site:
            self._open[site] -= 1
            if not self._open[site]:
                del self._open[site]  # a counter would keep everybody who ever came

    def refused(self, site: str) -> None:
        """It was not let in: that is counted, and told now and then."""
        metrics.connections_refused.labels("site").inc()
        self._untold += 1
        now = time.monotonic()
        if now >= self._tell_at:
            log.warning("connections.refused", most=self._most, refused=self._untold, site_pii=site)
            self._tell_at, self._untold = now + _TELL_S, 0
