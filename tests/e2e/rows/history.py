"""Runs beyond starting and reading one: their trees, runs made from others, retention, pictures."""

from __future__ import annotations

from tests.e2e.rows.making import on_run

ROWS = {
    "get_run_tree": on_run("/runs/{}/tree"),
}
ALSO_ALLOWED: dict[tuple[str, str], set[int]] = {}
USERS_ONLY: set[str] = set()
