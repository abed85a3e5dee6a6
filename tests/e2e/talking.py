"""Somebody who talks to an agent, and a terminal that keeps what it was told."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from rich.console import Console

from polis.testing import eventually

if TYPE_CHECKING:
    from polis.cli.api import Api


class Talk:
    """A conversation of somebody with an agent."""

    def __init__(self, api: Api, conversation_id: str, agent_id: str) -> None:
        self.api = api
        self.room = f"/conversations/{conversation_id}"
        self.path = f"{self.room}/messages"
        self.agent_id = agent_id

    async def say(self, text: str) -> str:
        """What is answered to it."""
        posted = await self.api.call("POST", self.path, {"text": text})

        async def answered():
            page = await self.api.call("GET", f"{self.path}?since={posted['seq']}")
            return [each["text"] for each in page["items"] if each["sender_id"] == self.agent_id]

        return (await eventually(answered, within_s=20))[0]


async def talk(api: Api, installed: dict) -> Talk:
    opened = await api.call("POST", "/conversations/direct", {"principal_id": installed["agent_id"]})
    return Talk(api, opened["id"], installed["agent_id"])


class Heard(Console):
    """A terminal that keeps what was written to it, piece by piece."""

    def __init__(self, said: list[str]) -> None:
        super().__init__(file=io.StringIO())
        self._said = said

    def out(self, *texts: object, **_: object) -> None:
        self._said += [str(text) for text in texts if text]
