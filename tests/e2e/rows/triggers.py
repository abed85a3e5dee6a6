"""Triggers, assistants that have some, the posts and events that they fire for, and what the runtime asks the catalog about them."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING
from uuid import uuid4

from polis.proto.catalog import GetEffective, ListEffective
from polis.proto.runtime import ReceiveHook
from polis.testing import eventually
from tests.e2e.rows.making import fixed
from tests.e2e.world import GRAPH, new_key

if TYPE_CHECKING:
    from polis.cli.api import Api
    from tests.e2e.world import World

TRIGGERS = {"by-hand": {"on": {"kind": "manual"}}, "posted": {"on": {"kind": "webhook"}}}
_made: dict[str, dict[str, str]] = {}
"""Ids of the triggers by name, for each world: what the rows do to them disturbs no other row."""


async def _triggers(world: World) -> dict[str, str]:
    if world.org_id not in _made:
        key = (await world.resource(active=True, triggers=TRIGGERS))["key"]

        async def effective():
            items = (await world.owner("GET", f"/triggers?graph={key}"))["items"]
            return items if len(items) == len(TRIGGERS) else None

        found = await eventually(effective, within_s=20)
        _made[world.org_id] = {item["name"]: item["id"] for item in found}
    return _made[world.org_id]


def on_trigger(path: str, name: str = "by-hand", body: object = None):
    async def row(world: World):
        return path.format((await _triggers(world))[name]), body

    return row


ROWS = {
    "list_triggers": fixed("/triggers"),
    "get_trigger": on_trigger("/triggers/{}"),
    "pause_trigger": on_trigger("/triggers/{}/pause", body={}),
    "resume_trigger": on_trigger("/triggers/{}/resume", body={}),
    "fire_trigger": on_trigger("/triggers/{}/fire", body={}),
    "rotate_hook_token": on_trigger("/triggers/{}/token", "posted", {}),
    "tell_event": fixed("/events", {"type": "step"}),
    "call_hook": on_trigger("/hooks/{}", "posted", b"abc"),
    "receive_hook": lambda _: ReceiveHook(trigger_id=uuid4(), body=b""),
    "get_effective": lambda _: GetEffective(uuid4(), uuid4(), "production"),
    "list_effective": lambda _: ListEffective(),
    "install_assistant": fixed("/assistants/echo/install", {}),
}
ALSO_ALLOWED: dict[tuple[str, str], set[int]] = {
    ("call_hook", "public"): {404},  # nothing vouches for the row's post
    ("install_assistant", "hidden"): {200},  # what ships is there for every org
}
USERS_ONLY: set[str] = set()


async def live(api: Api) -> None:
    """Leave a trigger that has fired, and the activation that names it."""
    content = GRAPH | {"triggers": {"posted": {"on": {"kind": "webhook"}}}}
    made = await api.call("POST", "/resources", {"type": "graph", "key": new_key(), "content": content})
    await api.call("POST", f"/resources/{made['id']}/versions", {})
    await api.call("PUT", f"/resources/{made['id']}/activations/production", {"number": 1})

    async def effective():
        return (await api.call("GET", f"/triggers?graph={made['key']}"))["items"]

    (posted,) = await eventually(effective, within_s=20)
    token = (await api.call("POST", f"/triggers/{posted['id']}/token", {}))["token"]
    url = api.address + posted["hook"]
    async with api._http.post(url, data=b"1", headers={"X-Hook-Token": token}) as answer:
        assert answer.status == 200, await answer.text()
    await _say_something(api)


async def _say_something(api: Api) -> None:
    """To an agent that answers, and counts what agents say to it."""
    agent = (await api.call("POST", "/agents", {"key": "listens", "name": "Listens"}))["agent"]
    said = {"on": {"kind": "message", "agents": True}, "agent": "listens"}
    content = GRAPH | {"triggers": {"said": said}}
    made = await api.call("POST", "/resources", {"type": "graph", "key": new_key(), "content": content})
    await api.call("POST", f"/resources/{made['id']}/versions", {})
    await api.call("PUT", f"/resources/{made['id']}/activations/production", {"number": 1})
    opened = await api.call("POST", "/conversations/direct", {"principal_id": agent["id"]})

    looks = count()

    async def fired():
        """Messages of an org reach the runtime a moment after it has a trigger for them."""
        if next(looks) % 20 == 0:
            await api.call("POST", f"/conversations/{opened['id']}/messages", {"text": "Hello"})
        found = (await api.call("GET", f"/triggers?graph={made['key']}"))["items"]
        return found and found[0]["fired"]

    await eventually(fired, within_s=20)
