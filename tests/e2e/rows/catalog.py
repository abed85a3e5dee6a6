"""Resources and artifacts beyond the main job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.e2e.rows.making import fixed, on_resource

if TYPE_CHECKING:
    from tests.e2e.world import World


async def deactivate(world: World):
    resource = await world.resource(active=True)
    return f"/resources/{resource['id']}/activations/production", None


ROWS: dict[str, Any] = {
    "change_resource": on_resource("/resources/{}", {"tags": ["mail"]}),
    "deprecate": on_resource("/resources/{}/deprecation", {"note": "Use another."}),
    "reinstate": on_resource("/resources/{}/deprecation"),
    "delete_resource": on_resource("/resources/{}"),
    "search_resources": fixed("/search?text=mail"),
    "compare_versions": on_resource("/resources/{}/versions/1/differences"),
    "list_dependencies": on_resource("/resources/{}/versions/1/dependencies"),
    "list_dependents": on_resource("/resources/{}/dependents"),
    "deactivate": deactivate,
    "list_activations": on_resource("/resources/{}/activations"),
    "list_moves": on_resource("/resources/{}/activations/production/history"),
}
ALSO_ALLOWED: dict[tuple[str, str], set[int]] = {}
USERS_ONLY: set[str] = set()
