"""Runs that are steered from outside: signals, what they tell, pausing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polis.testing import eventually
from tests.e2e.rows.making import on_run
from tests.e2e.world import new_key

if TYPE_CHECKING:
    from polis.cli.api import Api

ROWS = {
    "signal_run": on_run("/runs/{}/signals", {"name": "nobody_waits"}),
    "query_run": on_run("/runs/{}/statuses"),
    "pause_run": on_run("/runs/{}/pause"),
    "resume_run": on_run("/runs/{}/resume"),
    "start_child": None,  # of the mesh alone: test_children.py of the runtime
}
# The run of the row may have ended by then.
ALSO_ALLOWED = {(name, "allowed"): {409} for name in ("signal_run", "pause_run", "resume_run")}
USERS_ONLY: set[str] = set()

STEERED = {
    "nodes": {
        "slow": {"component": "throttle", "config": {"times": 1, "per_s": 1}},
        "tell": {"component": "status", "config": {"name": "told"}},
        "wait": {"component": "signal", "config": {"name": "never"}},
        "hear": {"component": "event.wait", "config": {"type": "runtime.event_told", "condition": "false"}},
    },
    "edges": [
        {"source": "slow.out", "target": "tell.in"},
        {"source": "tell.out", "target": "wait.in"},
        {"source": "slow.out", "target": "hear.in"},
    ],
    "inputs": {"x": {"target": "slow.in", "default": 1}},
    "outputs": {"y": {"source": "wait.out"}},
}


async def live(api: Api) -> None:
    """Leave a run that has let something pass and told of it, waits for a signal and an event and has been sent another signal."""
    made = await api.call("POST", "/resources", {"type": "graph", "key": new_key(), "content": STEERED})
    await api.call("POST", f"/resources/{made['id']}/versions", {})
    await api.call("PUT", f"/resources/{made['id']}/activations/production", {"number": 1})
    run = await api.call("POST", "/runs", {"graph": made["key"]})

    async def told():
        return (await api.call("GET", f"/runs/{run['id']}/statuses"))["statuses"]

    await eventually(told, within_s=20)
    await api.call("POST", f"/runs/{run['id']}/signals", {"name": "other"})
