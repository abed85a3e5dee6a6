"""Token buckets by GCRA (ITU-T I.371): one number a key, no timers; a bounded number of keys."""

from __future__ import annotations

import time
from collections.abc import Hashable

from polis.proto import Refused
from polis.proto.problems import Overloaded

_KEYS = 100_000


class Buckets:
    """Admits `burst` at once and `rate_per_minute` in the long run, for each key by itself."""

    def __init__(self, *, rate_per_minute: float, burst: int) -> None:
        self._interval = 60.0 / rate_per_minute
        self._tolerance = self._interval * burst
        self._arrivals: dict[Hashable, float] = {}

    def take(self, key: Hashable, now: float | None = None) -> None:
        """Refused(Overloaded) with the seconds to wait when the key's bucket is empty."""
        now = time.monotonic() if now is None else now
        expected = max(self._arrivals.get(key, 0.0), now) + self._interval
        if expected - now > self._tolerance:
            raise Refused(Overloaded(retry_after_s=round(expected - now - self._tolerance, 3)))
        if len(self._arrivals) >= _KEYS and key not in self._arrivals:
            self._forget(now)
        self._arrivals[key] = expected

    def _forget(self, now: float) -> None:
        """Drop keys whose buckets are full again; if all are in use, the oldest tenth."""
        self._arrivals = {key: at for key, at in self._arrivals.items() if at > now}
        for key in list(self._arrivals)[: max(0, len(self._arrivals) - _KEYS * 9 // 10)]:
            del self._arrivals[key]
