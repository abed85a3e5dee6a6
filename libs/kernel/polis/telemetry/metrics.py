"""The metrics every process has, in Prometheus text. Children are bound once per operation: no label look-up per call."""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest

registry = CollectorRegistry()
ProcessCollector(registry=registry)
PlatformCollector(registry=registry)

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

requests = Counter("polis_requests", "Requests answered.", ("operation", "status"), registry=registry)
seconds = Histogram(
    "polis_request_seconds",
    "Seconds from arrival to answer.",
    ("operation",),
    buckets=_BUCKETS,
    registry=registry,
)
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

CONTENT_TYPE = CONTENT_TYPE_LATEST


def exposition() -> bytes:
    """All metrics of this process in OpenMetrics text."""
    text: bytes = generate_latest(registry)  # type: ignore[no-untyped-call] # the library has no types here
    return text
