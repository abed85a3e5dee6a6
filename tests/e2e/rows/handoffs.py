"""Handing a conversation over: a channel of the owner's that is open to the org, to whoever is an admin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from polis.cli.api import Api
from polis.proto.runtime import Addressee, AskForHandoff, DescribeAskInTalk, WithdrawHandoff
from polis.testing import eventually
from tests.e2e.rows import asks
from tests.e2e.rows.messaging import channel, kept, on
from tests.e2e.world import new_key

if TYPE_CHECKING:
    from tests.e2e.world import World

HANDING = {"to": {"kind": "role", "role": "admin"}, "reason": "A refund", "summary": "Charged twice"}


async def live(api: Api, known: Any) -> None:
    """Leave a row in every table. known: whether a table has rows of the org by now."""
    made = await api.call("POST", "/conversations", {"kind": "group"})
    await api.call("POST", f"/conversations/{made['id']}/handoffs", HANDING)
    config = asks.ASKS["nodes"]["ask"]["config"] | {"conversation": made["id"]}
    graph = asks.ASKS | {"nodes": {"ask": {"component": "ask", "config": config}}}
    await api.call("POST", "/runs", {"graph": await asks.graph(api.call, graph)})
    await eventually(lambda: known("messaging", "asked"), within_s=5)
    agent = await api.call("POST", "/agents", {"key": new_key(), "name": "A"})
    await api.call(
        "POST", f"/conversations/{made['id']}/participants", {"principal_id": agent["agent"]["id"]}
    )
    posted = await api.call("POST", f"/conversations/{made['id']}/messages", {"text": "Who?"})
    async with Api(api.address) as other:
        given = {key: agent[key] for key in ("client_id", "client_secret")}
        other.token = (await other.call("POST", "/token", given))["access_token"]
        await other.call("POST", f"/conversations/{made['id']}/messages/{posted['seq']}/turn/claim", CLAIM)


async def get_turn(world: World):
    """Of a message that the agent has claimed."""
    path, body = await on(_TURN + "/claim", CLAIM)(world)
    await world.request("agent", "POST", path.partition("/messages")[0] + "/join", {})
    status, text = await world.request("agent", "POST", path, body)
    assert status == 200, text
    return path.removesuffix("/claim"), None


_TURN = "/conversations/{0}/messages/{1}/turn"
CLAIM = {"justification": "It is about mail", "confidence": 0.9}


async def hand_off(world: World):
    return f"/conversations/{await channel(world)}/handoffs", HANDING


def on_waiting(path: str, body: object = None):
    async def row(world: World):
        made = await world.owner("POST", f"/conversations/{await channel(world)}/handoffs", HANDING)
        return path.format(made["id"]), body

    return row


async def list_handoffs(world: World):
    return f"/handoffs?conversation_id={(await kept(world))[0]}", None


_H = "/handoffs/{0}"
ROWS: dict[str, Any] = {
    "hand_off": hand_off,
    "list_handoffs": list_handoffs,
    "get_handoff": on_waiting(_H),
    "claim_handoff": on_waiting(_H + "/claim", {}),
    "return_handoff": on_waiting(_H + "/return", {}),
    "cancel_handoff": on_waiting(_H + "/cancel", {}),
    "claim_turn": on(_TURN + "/claim", CLAIM),
    "defer_turn": on(_TURN + "/defer", {"justification": "It is not about mail"}),
    "get_turn": get_turn,
    "ask_for_handoff": lambda _: AskForHandoff(
        uuid4(), uuid4(), uuid4(), by=uuid4(), to=Addressee("role", role="admin"), reason="A refund"
    ),
    "describe_ask_in_talk": lambda _: DescribeAskInTalk(uuid4(), uuid4()),
    "answer_ask_in_talk": None,  # messaging alone may send it
    "withdraw_handoff": lambda _: WithdrawHandoff(uuid4(), uuid4()),
}
# Who sees a channel has yet to answer for it, or to be one of those whom it is handed to.
ALSO_ALLOWED: dict[tuple[str, str], set[int]] = {
    ("hand_off", "allowed"): {403},
    # Who is no agent just speaks; an agent has yet to take part.
    ("claim_turn", "allowed"): {403},
    ("defer_turn", "allowed"): {403},
    ("claim_handoff", "allowed"): {403, 404},
    ("return_handoff", "allowed"): {403, 404},
    ("cancel_handoff", "allowed"): {403, 404},
}
USERS_ONLY: set[str] = set()
