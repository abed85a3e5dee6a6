"""The live edge: a topic of each kind, and operations as they are called on a socket, on what their own rows make."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from polis.proto.live import callable_here
from tests.e2e.rows.messaging import kept

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    import aiohttp

    from polis.proto import Operation
    from tests.e2e.world import World

COMMANDS = {operation.name: operation for operation in callable_here().values()}
_PATH = "/api/v1/live"


async def run(world: World) -> str:
    return f"run/{(await world.run())['id']}"


async def conversation(world: World) -> str:
    return f"conversation/{(await kept(world))[0]}"


async def alone(world: World) -> str:
    """One in which nobody is but the owner."""
    made = await world.owner("POST", "/conversations", {"kind": "group", "name": "Alone"})
    return f"conversation/{made['id']}"


async def agent(world: World) -> str:
    return f"agent/{(await world.agent())['agent']['key']}"


def own(name: str):
    """A topic that is each follower's own."""

    async def row(_: World) -> str:
        return name

    return row


TOPIC_ROWS = {
    "run/<id>": run,
    "conversation/<id>": conversation,
    "conversations": own("conversations"),
    "asks": own("asks"),
    "presence": own("presence"),
    "org": own("org"),
    "agent/<agent>": agent,
}


@asynccontextmanager
async def socket(world: World, principal: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """One of a principal; aiohttp.WSServerHandshakeError where nobody may have one."""
    async with world.http.ws_connect(f"{world.address}{_PATH}", headers=_headers(world, principal)) as opened:
        yield opened


async def follow(ws: aiohttp.ClientWebSocketResponse, topics: Iterable[str]) -> dict[str, tuple[int, str]]:
    """What each topic begins with: its status as on HTTP, and the frame."""
    wanted = set(topics)
    for topic in wanted:
        await ws.send_json({"op": "subscribe", "topic": topic})
    found: dict[str, tuple[int, str]] = {}
    while len(found) < len(wanted):
        text = await ws.receive_str(timeout=30)
        frame = msgspec.json.decode(text)
        found.setdefault(frame["topic"], (_status(frame), text))
    return found


async def call(ws: aiohttp.ClientWebSocketResponse, operation: Operation, given: Any) -> tuple[int, str]:
    """What a row comes to when it is called on a socket."""
    path, body = given
    request = _fields(operation.path, path) | (body or {})
    await ws.send_json({"op": "call", "id": 1, "name": operation.request.__name__, "request": request})
    text = await ws.receive_str(timeout=30)
    return _status(msgspec.json.decode(text)), text


async def listen(world: World, principal: str, topic: str) -> tuple[int, str]:
    """What a topic begins with as server-sent events."""
    url = f"{world.address}{_PATH}?topic={topic}"
    async with world.http.get(url, headers=_headers(world, principal)) as answer:
        if answer.status != 200:
            return answer.status, await answer.text()
        return 200, (await answer.content.readuntil(b"\n\n")).decode()


def _headers(world: World, principal: str) -> dict[str, str]:
    token = world.tokens[principal]
    return {"Authorization": f"Bearer {token}"} if token else {}


def _status(frame: dict[str, Any]) -> int:
    return frame["problem"]["status"] if frame["op"] == "problem" else 200


def _fields(template: str, path: str) -> dict[str, str | int]:
    """What stands in a path."""
    pattern = re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", template)
    match = re.fullmatch(pattern, path)
    assert match, (template, path)
    return {name: int(value) if value.isdecimal() else value for name, value in match.groupdict().items()}
