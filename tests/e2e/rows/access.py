"""Agents, services, keys, roles, grants, quotas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from polis.proto.identity import (
    CheckAccess,
    GetStanding,
    ListOrgQuotas,
    ReleaseUsage,
    ReserveUsage,
    SettleUsage,
    SignInClient,
)
from tests.e2e.rows.making import fixed
from tests.e2e.world import new_id, new_key

if TYPE_CHECKING:
    from polis.cli.api import Api
    from polis.testing import Stage
    from tests.e2e.world import World


def on_agent(path: str, body: object = None):
    async def row(world: World):
        return path.format((await world.agent())["agent"]["id"]), body

    return row


async def revoke_credential(world: World):
    agent = (await world.agent())["agent"]["id"]
    credential = (await world.owner("GET", f"/agents/{agent}/credentials"))["items"][0]["id"]
    return f"/agents/{agent}/credentials/{credential}", None


def on_unit(path: str, body: object = None):
    async def row(world: World):
        unit = await world.owner("POST", "/units", {"kind": "project", "key": new_key(), "name": "U"})
        return path.format(unit["id"]), body

    return row


def on_key(path: str, body: object = None):
    async def row(world: World):
        made = await world.owner("POST", "/keys", {"name": "K", "scopes": ["catalog:read"]})
        if len(KEYS) >= FULL:
            await world.request("owner", "DELETE", f"/keys/{KEYS.pop(0)}")  # a cell may have revoked it
        KEYS.append(made["key"]["id"])
        return path.format(made["key"]["id"]), body

    return row


def on_role(path: str, body: object = None):
    async def row(world: World):
        role = {"key": new_key(), "name": "R", "scopes": ["catalog:read"]}
        await world.owner("POST", "/roles", role)
        return path.format(role["key"]), body

    return row


async def withdraw_invitation(world: World):
    return f"/invitations/{(await world.invitation())['id']}", None


GRANT = {"holder": {"kind": "everyone"}, "verb": "catalog:read", "resource": "graph/x"}


async def take_grant(world: World):
    return f"/grants/{(await world.owner('POST', '/grants', GRANT))['id']}", None


def on_waiting_grant(*, approved: bool):
    async def row(world: World):
        made = await world.owner("POST", "/grants", GRANT | {"conditions": {"approval": True}})
        path = f"/grants/{made['id']}/approval"
        if approved:
            await world.request("admin", "POST", path, {})
        return path, None if approved else {}

    return row


QUOTA = {"subject": {"kind": "org"}, "meter": "tokens", "period": "day", "most": 10}


async def remove_quota(world: World):
    return f"/quotas/{(await world.owner('PUT', '/quotas', QUOTA))['id']}", None


KEYS: list[str] = []
"""The owner's; somebody may have so many at a time."""
FULL = 20

ROWS: dict[str, Any] = {
    "update_agent": on_agent("/agents/{}", {"name": "Other"}),
    "suspend_agent": on_agent("/agents/{}/suspend", {}),
    "resume_agent": on_agent("/agents/{}/resume", {}),
    "list_credentials": on_agent("/agents/{}/credentials"),
    "rotate_credential": on_agent("/agents/{}/credentials", {}),
    "revoke_credential": revoke_credential,
    "create_unit": fixed("/units", lambda: {"kind": "project", "key": new_key(), "name": "U"}),
    "list_units": fixed("/units"),
    "get_unit": on_unit("/units/{}"),
    "rename_unit": on_unit("/units/{}", {"name": "Other"}),
    "delete_unit": on_unit("/units/{}"),
    "create_key": fixed("/keys", {"name": "K", "scopes": ["catalog:read"]}),
    "list_keys": fixed("/keys"),
    "get_key": on_key("/keys/{}"),
    "rotate_key": on_key("/keys/{}/rotate", {}),
    "revoke_key": on_key("/keys/{}"),
    "sign_in_key": None,
    "give_grant": fixed("/grants", GRANT),
    "list_grants": fixed("/grants"),
    "take_grant": take_grant,
    "approve_grant": on_waiting_grant(approved=False),
    "withdraw_approval": on_waiting_grant(approved=True),
    "explain_access": fixed("/access/explain?verb=catalog:read&resource=graph/x"),
    "check_access": lambda world: CheckAccess(
        org_id=UUID(new_id()), principal_id=UUID(new_id()), verb="catalog:read", resource="graph/x"
    ),
    "get_standing": lambda world: GetStanding(
        org_id=UUID(new_id()), principal_id=UUID(new_id()), verb="catalog:read"
    ),
    "set_quota": fixed("/quotas", QUOTA),
    "list_quotas": fixed("/quotas"),
    "remove_quota": remove_quota,
    "list_org_quotas": lambda world: ListOrgQuotas(meter="requests"),
    "reserve_usage": lambda world: ReserveUsage(
        org_id=UUID(new_id()),
        reservation_id=UUID(new_id()),
        principal_id=UUID(new_id()),
        meter="runs",
        amount=1,
    ),
    "settle_usage": lambda world: SettleUsage(org_id=UUID(new_id()), reservation_id=UUID(new_id()), used=1),
    "release_usage": lambda world: ReleaseUsage(
        org_id=UUID(new_id()), release_id=UUID(new_id()), principal_id=UUID(new_id()), meter="runs", amount=1
    ),
    "create_role": fixed("/roles", lambda: {"key": new_key(), "name": "R", "scopes": ["catalog:read"]}),
    "list_roles": fixed("/roles"),
    "update_role": on_role("/roles/{}", {"name": "Other"}),
    "delete_role": on_role("/roles/{}"),
    "get_org": fixed("/org"),
    "rename_org": fixed("/org", {"name": "Another"}),
    "limit_keys": fixed("/org/key-scopes", {"scopes": None}),
    "require_second_factor": fixed("/org/second-factor", {"required": False}),
    "list_invitations": fixed("/invitations"),
    "withdraw_invitation": withdraw_invitation,
}
ALSO_ALLOWED: dict[tuple[str, str], set[int]] = {
    # A key is its owner's: a member sees no other's, and who manages members revokes them but does not rotate them.
    ("get_key", "allowed"): {404},
    ("revoke_key", "allowed"): {404},
    ("rotate_key", "allowed"): {404},
    ("approve_grant", "allowed"): {409},  # the owner gave it, and does not approve it
}
USERS_ONLY: set[str] = set()
NOT_BY_KEY = {"create_key", "rotate_key"}
"""A key makes no further keys and rotates no other one."""


async def live(api: Api, mesh: Stage) -> None:
    """Leave a row in every table of tenants that is about access."""
    await api.call("POST", "/units", {"kind": "project", "key": "project", "name": "Project"})
    await api.call("POST", "/roles", {"key": "reader", "name": "Reader", "scopes": ["catalog:read"]})
    await api.call("POST", "/keys", {"name": "Key", "scopes": ["catalog:read"]})
    await api.call("POST", "/grants", GRANT)
    await api.call("PUT", "/quotas", QUOTA)
    me = await api.call("GET", "/me")
    caller = await mesh.caller("admin")
    token = await caller.call(SignInClient("runtime", mesh.credential("runtime")))
    reserve = ReserveUsage(
        org_id=UUID(me["org_id"]),
        reservation_id=UUID(new_id()),
        principal_id=UUID(me["principal"]["id"]),
        meter="tokens",
        amount=1,
    )
    await caller.call(reserve, token=token.access_token)
