"""Handing a conversation over: a channel of the owner's that is open to the org, to whoever is an admin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from polis.proto.runtime import Addressee, AskForHandoff, DescribeAskInTalk, WithdrawHandoff
from polis.testing import eventually
from tests.e2e.rows import asks
from tests.e2e.rows.messaging import channel, kept

if TYPE_CHECKING:
    from polis.cli.api import Api
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
    ("claim_handoff", "allowed"): {403, 404},
    ("return_handoff", "allowed"): {403, 404},
    ("cancel_handoff", "allowed"): {403, 404},
}
USERS_ONLY: set[str] = set()
