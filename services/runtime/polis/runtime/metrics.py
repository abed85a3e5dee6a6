"""What this service counts besides what every service does."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import HistogramMetricFamily

from polis.telemetry.metrics import registry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric

_STEP_S = (0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0, 600.0)
_MOST_COMPONENTS = 200
"""Components that are told apart; what orgs make themselves counts together beyond that."""

runs_active = Gauge("polis_runs_active", "Runs executed by this process now.", registry=registry)
runs_ended = Counter("polis_runs_ended", "Runs that came to an end here.", ("state",), registry=registry)
triggers_fired = Counter(
    "polis_triggers_fired", "Occasions that triggers had.", ("outcome",), registry=registry
)
runs_claimed = Counter(
    "polis_runs_claimed", "Runs taken over or from the queue.", ("state",), registry=registry
)
runs_queued = Gauge(
    "polis_runs_queued", "Runs that nobody executes although they could be, in all.", registry=registry
)
queue_lag = Gauge(
    "polis_runs_queue_lag_seconds", "How long the first run in the queue has waited.", registry=registry
)
lease_age = Gauge(
    "polis_runs_lease_age_seconds", "Since this process was last seen by the others.", registry=registry
)
runs_slow = Counter("polis_runs_slow", "Runs told of as slow by this process.", registry=registry)
flushes = Histogram(
    "polis_runs_flushed",
    "Runs written by one commit.",
    ("what",),
    buckets=(1, 2, 5, 10, 25, 50, 100, 250),
    registry=registry,
)
admitted_together = flushes.labels("admissions")
flushed_together = flushes.labels("progress")


class StepTimes:
    """How long attempts of steps took, by component: counted in plain lists, made into a metric when read."""

    def __init__(self) -> None:
        self._times: dict[str, list[float]] = {}

    def add(self, component: str, seconds: float) -> None:
        times = self._times.get(component)
        if times is None:
            name = component if len(self._times) < _MOST_COMPONENTS else "other"
            times = self._times.setdefault(name, [0.0] * (len(_STEP_S) + 2))
        times[bisect_left(_STEP_S, seconds)] += 1
        times[-1] += seconds

    def collect(self) -> Iterator[Metric]:
        timer = HistogramMetricFamily(
            "polis_step_seconds", "Seconds that attempts of steps took.", labels=("component",)
        )
        bounds = [*map(str, _STEP_S), "+Inf"]
        for component, times in self._times.items():
            counts = accumulate(times[:-1])
            timer.add_metric((component,), list(zip(bounds, counts, strict=True)), times[-1])
        yield timer


step_times = StepTimes()
registry.register(step_times)
