"""Whether what samples tell of has stayed where it was: over a long load, and from before it to after it.

Trends are robust against single measurements that stand out, as those after a collection of garbage do.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from itertools import combinations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.chaos.samples import Sampler

    Sample = Mapping[str, float]

WHOLE = "mesh"
"""The name of a process that serves all services."""
COUNTED = frozenset(
    {"files", "sockets", "tasks", "live", "runs", "connections", "subscriptions", "streams", "consumers"}
)
"""What is as it was when a load has ended, but for connections to PostgreSQL that a pool has opened since."""
FLAT = (COUNTED - {"runs"}) | {"threads", "backends", "pending", "unread", "unacknowledged"}
POOL = 10
"""Connections of one service to PostgreSQL: those of its pool, and those that hold leases."""
MEMORY_MB_H = {"postgres": 30.0}
"""MB an hour, behind the time in which caches fill, of PostgreSQL's 40 processes together, without what they share."""
OWN_MB_H = 6.0
"""Of each process of ours: a tenth of what G24 lets pass."""
MOST_MB = {"nats-server": 160.0}
"""Its index of subjects goes with what the streams keep for a week; the limit of its heap is 128 MiB."""
KEPT = frozenset(
    {
        *("outbox", "published", "inbox", "idempotency"),  # a day, or eight, in every service
        *(
            "identity.audit",
            "identity.refresh_tokens",
            "runtime.firings",
            "runtime.stopped_agents",
            "runtime.signals",
        ),
        *(f"messaging.{t}" for t in ("conversations", "participants", "entries", "messages", "revisions")),
        *(f"messaging.{t}" for t in ("passages", "indexed", "streams", "stream_parts", "asked", "notices")),
    }
)
"""Tables that keep what was done for longer than the load lasts, or for good."""
_SLACK, _SHARE = (5, 20), 0.25
"""What may be more in the last third than in the first: so much, of rows so many, and a share."""
_MOST_POINTS = 150
_SWEPT = "rows"
"""What goes up and down as it is swept, every so many minutes: how low it comes is what must not grow."""


def slope(times: Sequence[float], values: Sequence[float]) -> float:
    """Per unit of time: the median of the slopes between any two points (Theil and Sen). Of many points every nth counts."""
    step = max(1, len(times) // _MOST_POINTS)
    points = list(zip(times[::step], values[::step], strict=True))
    found = [(b - a) / (t - s) for (s, a), (t, b) in combinations(points, 2) if t > s]
    return statistics.median(found) if found else 0.0


def ends(values: Sequence[float], of: Callable[[Sequence[float]], float]) -> tuple[float, float]:
    """What the first third comes to, and the last."""
    third = max(1, len(values) // 3)
    return of(values[:third]), of(values[-third:])


def grown(samples: Sequence[Sample]) -> dict[str, str]:
    """What has gone up over a long load, by name, and how."""
    found = {}
    for name in dict.fromkeys(name for sample in samples for name in sample):
        what, _, whose = name.partition(".")
        there = [(sample["at_s"], sample[name]) for sample in samples if name in sample]
        values = [value for _, value in there]
        first, last = ends(values, min if what == _SWEPT else statistics.median)
        if what == "own_mb" and whose in MOST_MB:
            if last > MOST_MB[whose]:
                found[name] = f"{last:.0f} MB"
        elif what == "own_mb":
            hourly = slope([at for at, _ in there], values) * 3600
            if hourly > MEMORY_MB_H.get(whose, OWN_MB_H):
                found[name] = f"{first:.1f} to {last:.1f} MB, {hourly:.1f} MB an hour"
        elif _is_flat(what, whose) and last > first + _SLACK[what == "rows"] + _SHARE * first:
            found[name] = f"{first:g} to {last:g}"
    return found


def _is_flat(what: str, whose: str) -> bool:
    if what == "rows":
        return whose not in KEPT and whose.partition(".")[2] not in KEPT
    return what in FLAT and whose != "postgres"


def left(before: Sample, after: Sample) -> dict[str, str]:
    """What is there after a load that was not there before it."""
    found = {}
    for name, now in after.items():
        what, _, whose = name.partition(".")
        then = before.get(name, 0.0)
        if what in COUNTED and whose != "postgres":
            pooled = max(0, _pooled(after, whose) - _pooled(before, whose))
            most = then + (pooled if what in ("files", "sockets") else 0)
        elif what == "backends":
            most = max(then, POOL)
        else:
            continue
        if now > most:
            found[name] = f"{then:g} to {now:g}"
    return found


def _pooled(sample: Sample, whose: str) -> float:
    """Connections to PostgreSQL of a process that is one service, or all of them."""
    names = [name for name in sample if name.startswith("backends.")]
    return sum(sample[name] for name in names if whose in (WHOLE, name.removeprefix("backends.app_")))


async def at_rest(sampler: Sampler, *, pause_s: float, within_s: float) -> Sample:
    """How a mesh is when nothing that is counted changes any more: two samples in a row hold the same."""
    end = time.monotonic() + within_s
    before: Sample = {}
    while True:
        now = await sampler.look()
        if before and not left(before, now) and not left(now, before):
            return now
        if time.monotonic() > end:
            return now
        before = now
        await asyncio.sleep(pause_s)


async def at_rest_again(
    sampler: Sampler, before: Sample, *, pause_s: float, within_s: float
) -> dict[str, str]:
    """What a load has left behind, when it has had the time to go."""
    end = time.monotonic() + within_s
    while found := left(before, await sampler.look()):
        if time.monotonic() > end:
            return found
        await asyncio.sleep(pause_s)
    return {}
