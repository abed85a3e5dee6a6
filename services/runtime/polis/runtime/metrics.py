"""What this service counts besides what every service does."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

from polis.telemetry.metrics import registry

runs_active = Gauge("polis_runs_active", "Runs executed by this process now.", registry=registry)
runs_ended = Counter("polis_runs_ended", "Runs that came to an end here.", ("state",), registry=registry)
triggers_fired = Counter(
    "polis_triggers_fired", "Occasions that triggers had.", ("outcome",), registry=registry
)
runs_claimed = Counter(
    "polis_runs_claimed", "Runs taken over or from the queue.", ("state",), registry=registry
)
