"""Those who say things as streams while parts of the mesh break; some of them die in the middle of what they say."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from polis.proto import Refused
from polis.proto.messaging import BeginStream, ContinueStream, ConversationFull, EndStream, ListMessages
from polis.proto.problems import Overloaded
from tests.chaos.history import UNKNOWN_PROBLEMS

if TYPE_CHECKING:
    from random import Random
    from uuid import UUID

    from polis.proto import Request
    from polis.proto.messaging import Message
    from tests.chaos.mesh import Mesh

A = TypeVar("A")
PAUSE_S = 0.02


class Speakers:
    """What was to be said in a conversation, and how much of it was known to be taken: all, of those who came to the end."""

    def __init__(self, mesh: Mesh, conversation_id: UUID) -> None:
        self._mesh = mesh
        self._id = conversation_id
        self.texts: dict[str, str] = {}
        self.taken: dict[str, int] = {}
        self.dead: set[str] = set()
        self.ended = False

    async def speak(self, speaker: int, dice: Random) -> None:
        """One thing after another; every third is broken off."""
        count = 0
        while not self.ended:
            count += 1
            name = f"{speaker}-{count}"
            self.texts[name] = "".join(dice.choices("abcdefgh ", k=dice.randrange(1, 3_000)))
            await self._say(name, dice, breaks=count % 3 == 2)

    async def _say(self, name: str, dice: Random, *, breaks: bool) -> None:
        text = self.texts[name]
        status = await self._surely(BeginStream(self._id, name))
        while status.at < len(text):
            piece = text[status.at : status.at + dice.randrange(1, 400)]
            status = await self._surely(ContinueStream(status.stream_id, status.at, piece))
            self.taken[name] = status.at
            if breaks and dice.random() < 0.3:
                self.dead.add(name)
                return
            await asyncio.sleep(PAUSE_S)
        await self._surely(EndStream(status.stream_id, len(text)))
        self.taken[name] = len(text)

    async def _surely(self, request: Request[A]) -> A:
        """Again and again, until there is an answer; those who died make room in time."""
        while True:
            try:
                return await self._mesh.call(request, timeout_s=2)
            except (Refused, TimeoutError) as error:
                passing = (*UNKNOWN_PROBLEMS, Overloaded, ConversationFull)
                if isinstance(error, Refused) and not isinstance(error.problem, passing):
                    raise
                await asyncio.sleep(PAUSE_S)

    async def all_said(self) -> list[Message] | None:
        """The messages, once there are as many as were begun."""
        found: list[Message] = []
        after = None
        while True:
            page = await self._surely(ListMessages(self._id, after=after, limit=200))
            found += page.items
            after = page.next_cursor
            if after is None:
                return found if len(found) >= len(self.texts) else None

    def check(self, messages: list[Message]) -> None:
        """Each is there once: whole, or as much as was known to be taken and what came after that without an answer."""
        assert sorted(message.client_id or "" for message in messages) == sorted(self.texts)
        for message in messages:
            name, stream = message.client_id or "", message.stream
            assert stream is not None
            if name in self.dead:
                assert (stream.state, stream.reason) == ("partial", "producer lost")
                assert len(message.text) >= self.taken[name]
                assert self.texts[name].startswith(message.text)
            else:
                assert (stream.state, message.text) == ("complete", self.texts[name])
