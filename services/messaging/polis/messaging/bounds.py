"""How often somebody may do something: token buckets by GCRA (ITU-T I.371), one number a key, in this process alone.

Replicas do not tell each other: so many of them admit so many times as much.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from polis.proto import Refused
from polis.proto.problems import Overloaded

if TYPE_CHECKING:
    from collections.abc import Hashable

_KEYS = 100_000


class Bucket:
    """Admits `rate` a second of each key in the long run, and `burst` at once."""

    def __init__(self, rate: float, burst: float) -> None:
        self._interval = 1.0 / rate
        self._tolerance = self._interval * max(burst, 1.0)
        self._arrivals: dict[Hashable, float] = {}

    def wait(self, key: Hashable) -> float:
        """Seconds until one is admitted; 0 when one is, and counted."""
        now = time.monotonic()
        owed = max(self._arrivals.get(key, 0.0) - now, 0.0) + self._interval
        if owed > self._tolerance:
            return owed - self._tolerance
        if len(self._arrivals) >= _KEYS and key not in self._arrivals:
            self._forget(now)
        self._arrivals[key] = now + owed
        return 0.0

    def demand(self, key: Hashable) -> None:
        """Refused(Overloaded) with the seconds to wait."""
        wait = self.wait(key)
        if wait:
            raise Refused(Overloaded(retry_after_s=round(wait, 3)))

    def _forget(self, now: float) -> None:
        """Drop keys whose buckets are full again; if all are in use, all: a bound that is lost for once."""
        self._arrivals = {key: at for key, at in self._arrivals.items() if at > now}
        if len(self._arrivals) >= _KEYS:
            self._arrivals.clear()
