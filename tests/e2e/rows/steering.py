"""Runs that are steered from outside: signals, what they tell, pausing."""

from __future__ import annotations

from tests.e2e.rows.making import on_run

ROWS = {
    "signal_run": on_run("/runs/{}/signals", {"name": "nobody_waits"}),
    "query_run": on_run("/runs/{}/statuses"),
    "pause_run": on_run("/runs/{}/pause"),
    "resume_run": on_run("/runs/{}/resume"),
}
# The run of the row may have ended by then.
ALSO_ALLOWED = {(name, "allowed"): {409} for name in ("signal_run", "pause_run", "resume_run")}
USERS_ONLY: set[str] = set()
