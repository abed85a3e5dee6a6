"""Secrets, the audit log, OAuth2 endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import asyncpg

from polis.proto.identity import Denial, LeaseSecret, RecordDenials
from tests.e2e.rows.making import fixed
from tests.e2e.world import new_key

if TYPE_CHECKING:
    from polis.cli.api import Api
    from tests.e2e.world import World

PASSPHRASE = "a passphrase of the owner"
SECRET = {"value": "hunter2", "used_by": ["runtime"]}


def on_secret(path: str, body: object = None, **more: str):
    async def row(world: World):
        secret = await world.owner("POST", "/secrets", {"name": new_key(), **SECRET, **more})
        return path.format(secret["id"]), body

    return row


async def live(api: Api, mesh: Any) -> None:
    """Leave a row in every table of the vault and the audit log."""
    secret = await api.call("POST", "/secrets", {"name": new_key(), **SECRET, **SEALED})
    await api.call("POST", f"/secrets/{secret['id']}/open", {"passphrase": PASSPHRASE})
    connection = await asyncpg.connect(mesh.database.admin_url)
    try:
        # A year goes by before the mesh does this itself.
        await connection.execute(
            "insert into identity.audit_cuts (org_id, n, hash, at) values ($1, 0, sha256('x'), now())",
            secret["org_id"],
        )
    finally:
        await connection.close()


SEALED = {"protection": "sealed", "passphrase": PASSPHRASE}
ROWS: dict[str, Any] = {
    "list_audit": fixed("/audit"),
    "verify_audit": fixed("/audit/verification"),
    "export_audit": fixed("/audit/export"),
    "create_secret": fixed("/secrets", lambda: {"name": new_key(), **SECRET}),
    "list_secrets": fixed("/secrets"),
    "make_notification_secret": fixed("/notification-secret", {"host": "example.com"}),
    "get_secret": on_secret("/secrets/{}"),
    "rotate_secret": on_secret("/secrets/{}/rotate", {"value": "hunter3"}),
    "update_secret": on_secret("/secrets/{}", {"used_by": []}),
    "delete_secret": on_secret("/secrets/{}"),
    "open_secret": on_secret("/secrets/{}/open", {"passphrase": PASSPHRASE}, **SEALED),
    "close_secret": on_secret("/secrets/{}/close", {}, **SEALED),
    "trade_credentials": fixed(
        "/oauth/token", {"grant_type": "client_credentials", "client_id": "nobody", "client_secret": "wrong"}
    ),
    "introspect_token": fixed("/oauth/introspect", {"token": "nobody's"}),
    "revoke_token": fixed("/oauth/revoke", {"token": "nobody's"}),
    "record_denials": lambda world: RecordDenials((Denial(UUID(world.org_id), uuid4(), "get_me", "x"),)),
    "lease_secret": lambda world: LeaseSecret(UUID(world.org_id), uuid4(), uuid4()),
}
ALSO_ALLOWED: dict[tuple[str, str], set[int]] = {
    ("update_secret", "allowed"): {403},  # the owner's: a member who did not make it does not change it
    ("trade_credentials", "public"): {401},  # the row offers wrong credentials
    # A sealed secret is its owner's: nobody else sees that there is one.
    ("open_secret", "allowed"): {404},
    ("close_secret", "allowed"): {404},
}
USERS_ONLY: set[str] = set()
