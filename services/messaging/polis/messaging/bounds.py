"""How often somebody may do something: token buckets by GCRA (ITU-T I.371), one number a key, in this process alone.

Replicas do not tell each other: so many of them admit so many times as much.
"""

from __future__ import annotations

import operator
import time
from typing import TYPE_CHECKING

from polis.proto import Refused
from polis.proto.problems import Overloaded
from polis.service.passing import Passing

if TYPE_CHECKING:
    from collections.abc import Hashable

_KEYS = 100_000


class Bucket:
    """Admits `rate` a second of each key in the long run, and `burst` at once."""

    def __init__(self, rate: float, burst: float) -> None:
        self._interval = 1.0 / rate
        self._tolerance = self._interval * max(burst, 1.0)
        self._arrivals: Passing[Hashable, float] = Passing(operator.le, most=_KEYS)
        """When each key's bucket is full again; one that is full is none."""

    def wait(self, key: Hashable) -> float:
        """Seconds until one is admitted; 0 when one is, and counted."""
        now = time.monotonic()
        full_at = self._arrivals.get(key, 0.0)
        owed = full_at - now + self._interval if full_at > now else self._interval
        if owed > self._tolerance:
            return owed - self._tolerance
        self._arrivals.keep(key, now + owed, now)
        return 0.0

    def demand(self, key: Hashable) -> None:
        """Refused(Overloaded) with the seconds to wait."""
        wait = self.wait(key)
        if wait:
            raise Refused(Overloaded(retry_after_s=round(wait, 3)))
