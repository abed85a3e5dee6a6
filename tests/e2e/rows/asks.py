"""Asks, links to answer them by, and approvals that stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from polis.testing import eventually
from tests.e2e.rows.making import fixed
from tests.e2e.world import new_key

if TYPE_CHECKING:
    from tests.e2e.world import World

ASKS = {
    "nodes": {
        "ask": {
            "component": "ask",
            "config": {
                "kind": "approval",
                "title": "May I?",
                "to": [{"role": role} for role in ("owner", "admin", "member", "viewer", "agent")],
            },
        }
    },
    "inputs": {"value": {"target": "ask.in", "required": False, "default": 1}},
    "outputs": {"value": {"source": "ask.out"}},
}
_graphs: dict[int, str] = {}
_kept: dict[int, str] = {}


async def graph(world: World) -> str:
    resource = await world.owner("POST", "/resources", {"type": "graph", "key": new_key(), "content": ASKS})
    await world.owner("POST", f"/resources/{resource['id']}/versions", {})
    await world.owner("PUT", f"/resources/{resource['id']}/activations/production", {"number": 1})
    return resource["key"]


async def asked(world: World, key: str = "") -> str:
    """The id of a new ask that everybody in the org is asked."""
    if not key and id(world) not in _graphs:
        _graphs[id(world)] = await graph(world)
    run = await world.owner("POST", "/runs", {"graph": key or _graphs[id(world)]})

    async def look():
        found = (await world.owner("GET", f"/asks?run_id={run['id']}"))["items"]
        return found[0]["id"] if found else None

    return await eventually(look, within_s=10)


async def kept(world: World) -> str:
    """One that stays open."""
    if id(world) not in _kept:
        _kept[id(world)] = await asked(world)
    return _kept[id(world)]


def on_ask(path: str, body: object = None, *, answered: bool = False):
    async def row(world: World):
        return path.format(await (asked if answered else kept)(world)), body

    return row


def by_link(path: str, **body: object):
    async def row(world: World):
        link = await world.owner("POST", f"/asks/{await asked(world)}/links", {})
        return path, {"token": link["path"].partition("#")[2], **body}

    return row


async def revoke_approval(world: World):
    ask = await asked(world, await graph(world))  # it stands for this graph alone
    await world.owner("POST", f"/asks/{ask}/answer", {"decision": "always"})
    approval = (await world.owner("GET", "/approvals"))["items"][0]
    return f"/approvals/{approval['id']}", None


ROWS: dict[str, Any] = {
    "list_asks": fixed("/asks"),
    "get_ask": on_ask("/asks/{}"),
    "answer_ask": on_ask("/asks/{}/answer", {"decision": "approve"}, answered=True),
    "delegate_ask": on_ask("/asks/{}/delegate", {"to": {"kind": "role", "role": "admin"}}),
    "create_ask_link": on_ask("/asks/{}/links", {}),
    "show_ask_link": by_link("/ask-links/show"),
    "answer_ask_link": by_link("/ask-links/answer", decision="approve"),
    "list_approvals": fixed("/approvals"),
    "revoke_approval": revoke_approval,
}
ALSO_ALLOWED: dict[tuple[str, str], set[int]] = {
    ("revoke_approval", "allowed"): {404},  # it is the owner's: members and agents see their own
}
USERS_ONLY: set[str] = set()
