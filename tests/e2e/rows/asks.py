"""Asks, links to answer them by, and approvals that stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from polis.proto.runtime import DescribeAsk
from polis.testing import eventually
from tests.e2e.rows.making import fixed
from tests.e2e.world import new_id, new_key

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from polis.cli.api import Api
    from tests.e2e.world import World

    Call = Callable[..., Awaitable[Any]]

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


async def graph(call: Call, content: object = ASKS) -> str:
    """The key of a new graph that is active."""
    resource = await call("POST", "/resources", {"type": "graph", "key": new_key(), "content": content})
    await call("POST", f"/resources/{resource['id']}/versions", {})
    await call("PUT", f"/resources/{resource['id']}/activations/production", {"number": 1})
    return resource["key"]


async def ask_of(call: Call, key: str) -> str:
    """The id of what a new run of a graph asks."""
    run = await call("POST", "/runs", {"graph": key})

    async def look():
        found = (await call("GET", f"/asks?run_id={run['id']}"))["items"]
        return found[0]["id"] if found else None

    return await eventually(look, within_s=10)


async def asked(world: World) -> str:
    """The id of a new ask that everybody in the org is asked."""
    if id(world) not in _graphs:
        _graphs[id(world)] = await graph(world.owner)
    return await ask_of(world.owner, _graphs[id(world)])


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
    ask = await ask_of(world.owner, await graph(world.owner))  # it stands for this graph alone
    await world.owner("POST", f"/asks/{ask}/answer", {"decision": "always"})
    approval = (await world.owner("GET", "/approvals"))["items"][0]
    return f"/approvals/{approval['id']}", None


ROWS: dict[str, Any] = {
    "list_asks": fixed("/asks"),
    "get_ask": on_ask("/asks/{}"),
    "answer_ask": on_ask("/asks/{}/answer", {"decision": "approve"}, answered=True),
    "delegate_ask": on_ask("/asks/{}/delegate", {"to": {"kind": "role", "role": "admin"}}),
    "create_ask_link": on_ask("/asks/{}/links", {}),
    "describe_ask": lambda world: DescribeAsk(
        org_id=UUID(new_id()), ask_id=UUID(new_id()), principal_id=UUID(new_id()), link=False
    ),
    "show_ask_link": by_link("/ask-links/show"),
    "answer_ask_link": by_link("/ask-links/answer", decision="approve"),
    "list_approvals": fixed("/approvals"),
    "revoke_approval": revoke_approval,
}
ALSO_ALLOWED: dict[tuple[str, str], set[int]] = {
    ("revoke_approval", "allowed"): {404},  # it is the owner's: members and agents see their own
}
USERS_ONLY: set[str] = set()


async def live(api: Api) -> None:
    """Leave a row in every table of tenants that is about asks."""
    approval = await ask_of(api.call, await graph(api.call))
    await api.call("POST", f"/asks/{approval}/answer", {"decision": "always"})
    config = ASKS["nodes"]["ask"]["config"] | {"kind": "vote", "choices": ["a", "b"], "quorum": 2}
    votes = ASKS | {"nodes": {"ask": {"component": "ask", "config": config}}}
    vote = await ask_of(api.call, await graph(api.call, votes))
    await api.call("POST", f"/asks/{vote}/answer", {"decision": "a"})
    await api.call("POST", f"/asks/{vote}/links", {})
