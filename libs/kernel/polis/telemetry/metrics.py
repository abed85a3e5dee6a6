"""The metrics every process has, in Prometheus text. Children are bound once per operation: no label look-up per call."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric

registry = CollectorRegistry()
ProcessCollector(registry=registry)
PlatformCollector(registry=registry)

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Answered:
    """Requests and their seconds, by operation and status: counted in plain lists, made into metrics when read.

    The library's counters take a lock and a look-up for each label: on the path of every request that is what costs.
    """

    def __init__(self) -> None:
        self._counts: dict[tuple[str, int], int] = {}
        self._times: dict[str, list[float]] = {}

    def add(self, operation: str, status: int, seconds: float) -> None:
        key = (operation, status)
        self._counts[key] = self._counts.get(key, 0) + 1
        times = self._times.get(operation)
        if times is None:
            times = self._times[operation] = [0.0] * (len(_BUCKETS) + 2)
        times[bisect_left(_BUCKETS, seconds)] += 1
        times[-1] += seconds

    def count(self, operation: str) -> int:
        """Answers of all statuses."""
        return int(sum(self._times.get(operation, (0.0,))[:-1]))

    def seconds(self, operation: str) -> float:
        times = self._times.get(operation)
        return times[-1] if times else 0.0

    def collect(self) -> Iterator[Metric]:
        counter = CounterMetricFamily("polis_requests", "Requests answered.", labels=("operation", "status"))
        for (operation, status), count in self._counts.items():
            counter.add_metric((operation, str(status)), count)
        yield counter
        timer = HistogramMetricFamily(
            "polis_request_seconds", "Seconds from arrival to answer.", labels=("operation",)
        )
        for operation, times in self._times.items():
            sums = tuple(accumulate(times[:-1]))
            bounds = [*map(str, _BUCKETS), "+Inf"]
            timer.add_metric((operation,), list(zip(bounds, sums, strict=True)), times[-1])
        yield timer


requests = Answered()
registry.register(requests)
answered = requests.add

in_flight = Gauge("polis_requests_in_flight", "Requests being worked on.", registry=registry)
queued = Gauge("polis_requests_queued", "Requests waiting for a task slot.", registry=registry)
loop_lag = Gauge(
    "polis_event_loop_lag_seconds", "How late the event loop ran its last tick.", registry=registry
)
outbox_pending = Gauge("polis_outbox_pending", "Events committed and not yet published.", registry=registry)
events_published = Counter("polis_events_published", "Events published to the stream.", registry=registry)
events_handled = Counter(
    "polis_events_handled", "Events taken from a stream.", ("consumer", "outcome"), registry=registry
)


def _tasks() -> int:
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:  # read outside of a loop
        return 0


tasks = Gauge("polis_tasks", "Tasks of the event loop that have not ended.", registry=registry)
tasks.set_function(_tasks)
live_open = Gauge("polis_live_open", "WebSockets that are open.", registry=registry)
live_closed = Counter(
    "polis_live_closed", "WebSockets that this side closed, by code.", ("code",), registry=registry
)
connections_refused = Counter(
    "polis_connections_refused",
    "Connections that were not let in at the public port: one site had as many as it may, or there were too many in all.",
    ("bound",),
    registry=registry,
)

certificate_ends = Gauge(
    "polis_tls_certificate_ends_timestamp_seconds",
    "When the certificate of the public port ends, as Unix time; 0 where TLS ends elsewhere.",
    registry=registry,
)

CONTENT_TYPE = CONTENT_TYPE_LATEST


def exposition() -> bytes:
    """All metrics of this process in OpenMetrics text."""
    text: bytes = generate_latest(registry)  # type: ignore[no-untyped-call] # the library has no types here
    return text
