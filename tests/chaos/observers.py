"""Those who talk in conversations while parts of the mesh break, and those who follow them over the live edge."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp

from polis.proto import Refused, messaging
from polis.proto.problems import Overloaded
from tests.chaos.history import UNKNOWN_PROBLEMS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from random import Random
    from uuid import UUID

    from tests.chaos.mesh import Mesh

PAUSE_S = 0.02


class Talk:
    """Writers in conversations: what they said, and where they were told that it stands."""

    def __init__(self, mesh: Mesh, ids: list[UUID]) -> None:
        self._mesh = mesh
        self._ids = ids
        self.said: dict[UUID, dict[str, int]] = defaultdict(dict)
        self.ended = False

    @property
    def count(self) -> int:
        return sum(map(len, self.said.values()))

    @asynccontextmanager
    async def going_on(self, writers: int, dice: Random) -> AsyncIterator[None]:
        """For as long as the block lasts. Everybody comes to the end of what they are about to say."""
        async with asyncio.TaskGroup() as group:
            for number in range(writers):
                group.create_task(self._write(number, dice))
            try:
                yield
            finally:
                self.ended = True

    async def _write(self, writer: int, dice: Random) -> None:
        count = 0
        while not self.ended:
            count += 1
            conversation_id, text = dice.choice(self._ids), f"{writer}-{count}"
            self.said[conversation_id][text] = await self._say(conversation_id, text)

    async def _say(self, conversation_id: UUID, text: str) -> int:
        """Again and again, under one client id, until it is known where it stands."""
        while True:
            post = messaging.PostMessage(conversation_id, text=text, client_id=text)
            try:
                return (await self._mesh.call(post, timeout_s=2)).seq
            except (Refused, TimeoutError) as error:
                passing = (*UNKNOWN_PROBLEMS, Overloaded)
                if isinstance(error, Refused) and not isinstance(error.problem, passing):
                    raise
                await asyncio.sleep(PAUSE_S)


class Observer:
    """One socket that follows conversations, and comes back with its cursors whenever it is cut or refused."""

    def __init__(self, address: Callable[[], str], token: str, ids: list[UUID]) -> None:
        self._address = address
        self._headers = {"Authorization": f"Bearer {token}"}
        self.entries: dict[str, list[tuple[int, str]]] = {f"conversation/{each}": [] for each in ids}
        self.cuts = 0

    def last(self, topic: str) -> int:
        return self.entries[topic][-1][0] if self.entries[topic] else 0

    async def follow(self) -> None:
        async with aiohttp.ClientSession() as http:
            while True:
                try:
                    async with http.ws_connect(f"{self._address()}/api/v1/live", headers=self._headers) as ws:
                        await self._listen(ws)
                except aiohttp.ClientError:
                    pass
                self.cuts += 1
                await asyncio.sleep(PAUSE_S)

    async def _listen(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        for topic in self.entries:
            await self._subscribe(ws, topic)
        async for message in ws:
            frame = message.json()
            if frame["op"] == "problem":
                await asyncio.sleep(PAUSE_S)
                await self._subscribe(ws, frame["topic"])
            else:
                self._take(frame["topic"], frame["data"])

    async def _subscribe(self, ws: aiohttp.ClientWebSocketResponse, topic: str) -> None:
        await ws.send_json({"op": "subscribe", "topic": topic, "after": self.last(topic)})

    def _take(self, topic: str, data: Any) -> None:
        told = data["entries"] if isinstance(data, dict) else [c["entry"] for c in data if c.get("entry")]
        assert not isinstance(data, dict) or data["recovered"], "nothing was too old to be continued"
        for entry in told:
            assert entry["seq"] == self.last(topic) + 1, (topic, entry["seq"], self.last(topic))
            self.entries[topic].append((entry["seq"], (entry.get("message") or {}).get("text", "")))
