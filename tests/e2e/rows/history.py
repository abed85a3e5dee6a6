"""Runs beyond starting and reading one: their trees, runs made from others, retention, pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.rows.making import fixed, on_run

if TYPE_CHECKING:
    from polis.cli.api import Api
    from tests.e2e.world import World


async def live(api: Api) -> None:
    """Leave a row in every table that the main job leaves empty."""
    await api.call("PUT", "/run-retention", {"days": 365})
    await api.call("POST", "/runs", {"graph": "mine", "tags": ["told"]})


async def start_runs(world: World):
    return "/runs/batch", {"graph": (await world.resource(active=True))["key"], "inputs": [{}]}


ROWS = {
    "get_run_tree": on_run("/runs/{}/tree"),
    "list_run_log": on_run("/runs/{}/log"),
    "start_runs": start_runs,
    "rerun_run": on_run("/runs/{}/rerun", {"step": "none"}),
    "retry_run": on_run("/runs/{}/retry", {}),
    "fork_run": on_run("/runs/{}/fork", {}),
    "migrate_run": on_run("/runs/{}/migrate", {"dry_run": True}),
    "delete_run": on_run("/runs/{}"),
    "get_run_picture": on_run("/runs/{}/picture"),
    "draw_run": on_run("/runs/{}/drawing"),
    "get_run_retention": fixed("/run-retention"),
    "set_run_retention": fixed("/run-retention", {"days": 365}),
}
# Runs of the rows act as the owner: for others they are not to take over. They may have ended, or not, by then.
TAKING = {
    "rerun_run": {403, 404, 409},
    "retry_run": {403, 409},
    "fork_run": {403},
    "migrate_run": {403, 409},
    "delete_run": {403, 409},
}
ALSO_ALLOWED: dict[tuple[str, str], set[int]] = {
    (name, "allowed"): statuses for name, statuses in TAKING.items()
}
USERS_ONLY: set[str] = set()
