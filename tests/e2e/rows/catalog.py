"""Resources and artifacts beyond the main job."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.e2e.rows.making import fixed, on_resource
from tests.e2e.world import new_id, new_key

if TYPE_CHECKING:
    from polis.cli.api import Api
    from tests.e2e.world import World


async def deactivate(world: World):
    resource = await world.resource(active=True)
    return f"/resources/{resource['id']}/activations/production", None


async def change_artifact(world: World):
    return f"/artifacts/{(await world.artifact())['id']}", {"visibility": "org"}


async def get_upload(world: World):
    return f"/uploads/{(await world.upload())['id']}", None


async def live(api: Api) -> None:
    """Leave a row in every table that the main job leaves empty."""
    grant = {"holder": {"kind": "everyone"}, "verb": "catalog:read", "resource": "graph/*"}
    await api.call("POST", "/grants", grant)
    change = PUT | {"key": "changed"}
    proposed = await api.call("POST", "/change-sets", {"title": "A", "changes": [change], "review": False})
    await api.call("POST", f"/change-sets/{proposed['id']}/apply", {})
    private = Ed25519PrivateKey.generate()
    me = (await api.call("GET", "/me"))["principal"]["id"]
    key = await publisher_key(api.call, me, private)
    made = await api.call("POST", "/resources", {"type": "policy", "key": "signed", "content": {}})
    version = await api.call("POST", f"/resources/{made['id']}/versions", {})
    told = {"digest": version["digest"], "key": "signed", "polis": "version", "type": "policy"}
    signature = base64url(private.sign(json.dumps(told, separators=(",", ":")).encode()))
    body = {"key_id": key, "signature": signature}
    await api.call("POST", f"/resources/{made['id']}/versions/1/signatures", body)


async def revoke_publisher_key(world: World):
    return (
        f"/publisher-keys/{await publisher_key(world.owner, world.me['owner'], Ed25519PrivateKey.generate())}",
        None,
    )


async def publisher_key(owner, principal_id: str, private: Ed25519PrivateKey) -> str:
    """A key of the owner's; its id."""
    proof = private.sign(f"polis publisher key {principal_id}".encode())
    public_key = private.public_key().public_bytes_raw()
    body = {"name": "Laptop", "public_key": base64url(public_key), "proof": base64url(proof)}
    return (await owner("POST", "/publisher-keys", body))["id"]


def base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


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
    "add_publisher_key": fixed(
        "/publisher-keys", {"name": "Laptop", "public_key": "A" * 43, "proof": "A" * 86}
    ),
    "list_publisher_keys": fixed("/publisher-keys"),
    "revoke_publisher_key": revoke_publisher_key,
    "sign_version": on_resource(
        "/resources/{}/versions/1/signatures", {"key_id": new_id(), "signature": "A" * 86}
    ),
    "list_signatures": on_resource("/resources/{}/versions/1/signatures"),
    "export_resources": fixed("/export"),
    "get_upload": get_upload,
    "list_moves": on_resource("/resources/{}/activations/production/history"),
}
ALSO_ALLOWED: dict[tuple[str, str], set[int]] = {
    ("add_changes", "allowed"): {409},  # a set belongs to whoever began it, here the owner
    ("review_change_set", "allowed"): {409},  # nobody reviews their own
    ("withdraw_change_set", "allowed"): {409},  # by its author and by owners and admins
    ("add_publisher_key", "allowed"): {422},  # it wants a proof by the key's holder
    ("add_publisher_key", "hidden"): {422},
    ("revoke_publisher_key", "allowed"): {404},  # by its publisher and by owners and admins
    ("sign_version", "allowed"): {404},  # with a key of one's own
    ("restore_moment", "allowed"): {403},  # by owners and admins
}
USERS_ONLY: set[str] = set()
