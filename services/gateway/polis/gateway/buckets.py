"""Token buckets by GCRA (ITU-T I.371): one number a key, no timers; full buckets are forgotten; what peers took counts too."""

from __future__ import annotations

import operator
import time
from collections.abc import Callable

from msgspec import Struct

from polis.proto import Refused
from polis.proto.problems import Overloaded
from polis.service.passing import Passing

_KEYS = 100_000
UNHEARD_S = 0.005
"""In so short a time a peer may not have been heard: until then, only this gateway's share of what is left is given out."""


class Left(Struct, frozen=True, gc=False):
    """What a bucket holds behind a request: tokens that are left, and seconds until it is full again."""

    policy: bytes
    tokens: int
    full_in_s: float


class Buckets:
    """Admits `burst` at once and `rate_per_minute` in the long run, for each key by itself; times its tier, where it has one.

    `on_taken(key, seconds)` hears of what was admitted here, as the seconds in which that refills.
    """

    def __init__(self, name: str, *, rate_per_minute: float, burst: int) -> None:
        self.name = name
        self.on_taken: Callable[[str, float], None] | None = None
        self._interval = 60.0 / rate_per_minute
        self._tolerance = self._interval * burst
        self._burst = burst
        self._arrivals: Passing[str, float] = Passing(operator.le, most=_KEYS)
        """When each key's bucket is full again; one that is full is none."""
        self._policies: dict[float, bytes] = {}
        self._peers = 0
        self._shares: Passing[str, tuple[float, int]] = Passing(lambda s, now: s[0] <= now, most=_KEYS)

    def share_with(self, peers: int) -> None:
        """So many others give out of the same buckets."""
        self._peers = peers
        self._shares.clear()

    def take(self, key: str, *, tier: float = 1.0, now: float | None = None) -> Left:
        """Refused(Overloaded) with the seconds to wait when the key's bucket is empty."""
        now = time.monotonic() if now is None else now
        cost = self._interval / tier
        full_at = self._arrivals.get(key, 0.0)
        owed = full_at - now + cost if full_at > now else cost
        if owed > self._tolerance:
            raise Refused(Overloaded(retry_after_s=round(owed - self._tolerance, 3)))
        if self._peers:
            self._take_share(key, now, int((self._tolerance - owed) / cost) + 1)
        self._arrivals.keep(key, now + owed, now)
        if self.on_taken is not None:
            self.on_taken(key, cost)
        policy = self._policies.get(tier) or self._policy(tier)
        return Left(policy, int((self._tolerance - owed) / cost), owed)

    def taken_elsewhere(self, key: str, seconds: float, now: float | None = None) -> None:
        """A peer has admitted requests of this key: they count here too, as far as a bucket can be empty."""
        now = time.monotonic() if now is None else now
        owed = max(self._arrivals.get(key, 0.0) - now, 0.0) + seconds
        self._arrivals.keep(key, now + min(owed, self._tolerance + self._interval), now)

    def _take_share(self, key: str, now: float, left: int) -> None:
        """Without it, as many as have a request on its way to each gateway would get the last token together."""
        until, share = self._shares.get(key, (0.0, 0))
        if until <= now:
            until, share = now + UNHEARD_S, max(1, left // (self._peers + 1))
        if not share:
            raise Refused(Overloaded(retry_after_s=UNHEARD_S))
        self._shares.keep(key, (until, share - 1), now)

    def _policy(self, tier: float) -> bytes:
        """The policy as `RateLimit-Policy` tells it: a quota, and the seconds in which all of it comes back."""
        quota = round(self._burst * tier)
        self._policies[tier] = text = b'"%b";q=%d;w=%d' % (self.name.encode(), quota, round(self._tolerance))
        return text
