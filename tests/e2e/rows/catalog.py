"""Resources and artifacts beyond the main job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.e2e.rows.making import fixed, on_resource
from tests.e2e.world import new_key

if TYPE_CHECKING:
    from tests.e2e.world import World


async def deactivate(world: World):
    resource = await world.resource(active=True)
    return f"/resources/{resource['id']}/activations/production", None


async def change_artifact(world: World):
    return f"/artifacts/{(await world.artifact())['id']}", {"visibility": "org"}


PUT = {"action": "put", "type": "policy", "key": "rule", "content": {}}


def on_set(path: str, body: object = None, *, applied: bool = False, review: bool = False):
    """On a change set of the owner's."""

    async def row(world: World):
        key = new_key()
        proposed = {"title": "A set", "review": review, "changes": [PUT | {"key": key}]}
        made = await world.owner("POST", "/change-sets", proposed)
        if applied:
            await world.owner("POST", f"/change-sets/{made['id']}/apply", {})
        return path.format(made["id"]), body

    return row


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
    "create_change_set": fixed("/change-sets", {"title": "A set", "changes": [PUT]}),
    "add_changes": on_set("/change-sets/{}/changes", {"changes": [PUT]}),
    "list_change_sets": fixed("/change-sets"),
    "get_change_set": on_set("/change-sets/{}"),
    "list_changes": on_set("/change-sets/{}/changes"),
    "plan_change_set": on_set("/change-sets/{}/plan"),
    "review_change_set": on_set("/change-sets/{}/review", {"approve": True}, review=True),
    "apply_change_set": on_set("/change-sets/{}/apply", {}),
    "undo_change_set": on_set("/change-sets/{}/undo", {}, applied=True),
    "withdraw_change_set": on_set("/change-sets/{}"),
    "restore_moment": fixed("/moments", {"at": "2001-01-01T00:00:00Z", "without_removed": True}),
    "change_artifact": change_artifact,
    "export_resources": fixed("/export"),
    "list_moves": on_resource("/resources/{}/activations/production/history"),
}
ALSO_ALLOWED: dict[tuple[str, str], set[int]] = {
    ("add_changes", "allowed"): {409},  # a set belongs to whoever began it, here the owner
    ("review_change_set", "allowed"): {409},  # nobody reviews their own
    ("withdraw_change_set", "allowed"): {409},  # by its author and by owners and admins
    ("restore_moment", "allowed"): {403},  # by owners and admins
}
USERS_ONLY: set[str] = set()
