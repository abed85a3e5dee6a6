"""Assistants as a user has them: installed by one call, talked to in a conversation, answering from what they read."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from polis.cli import chat
from polis.cli.api import Api, Problem
from polis.client import Polis
from polis.testing import eventually

SAMPLE = Path(__file__).parents[2] / "samples" / "mailbox.mbox"


@pytest.fixture
async def ada(mesh, address):
    async with Api(address) as api:
        await api.sign_up()
        yield api


class Talk:
    """A conversation of somebody with an agent."""

    def __init__(self, api: Api, conversation_id: str, agent_id: str) -> None:
        self.api = api
        self.path = f"/conversations/{conversation_id}/messages"
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


async def test_echo_is_installed_by_one_call_and_says_what_it_is_told(ada):
    installed = await ada.call("POST", "/assistants/echo/install", {})
    again = await ada.call("POST", "/assistants/echo/install", {})
    echo = await talk(ada, installed)

    said = await echo.say("Hello **there**, how are you?")

    assert again == installed
    assert said == "Hello **there**, how are you?"
    agent = await ada.call("GET", "/agents/echo")
    assert agent["scopes"] == ["messaging:read", "messaging:write", "runtime:read"]


async def test_sarah_reads_the_mailbox_of_the_org_and_tells_what_is_asked(ada):
    artifact = await ada.upload(SAMPLE, name="mailbox.mbox", media_type="application/mbox")
    mailbox = {"artifact_id": artifact["id"], "name": artifact["name"], "size": artifact["size"]}
    with pytest.raises(Problem) as refused:
        await ada.call("POST", "/assistants/sarah/install", {"settings": {"box": 1}})
    installed = await ada.call("POST", "/assistants/sarah/install", {"settings": {"mailbox": mailbox}})
    sarah = await talk(ada, installed)

    new = await sarah.say("What is new?")
    again = await sarah.say("what's new?")
    person = await sarah.say("anything from priya?")

    assert {fault["pointer"] for fault in refused.value.faults} == {"/settings/box", "/settings/mailbox"}
    assert new.startswith("This is what there is:")
    assert new.count("\n- **") >= 2
    assert again.strip() == "There is nothing new."
    assert person.startswith("From priya:")
    (run,) = (await ada.call("GET", f"/runs?graph={installed['graph']}&limit=1"))["items"]

    async def percent():
        told = (await ada.call("GET", f"/runs/{run['id']}/statuses"))["statuses"]
        return [each["value"]["percent"] for each in told] == [100]

    await eventually(percent, within_s=5)


async def test_the_command_installs_an_assistant_and_shows_its_answers_while_they_are_said(ada, address):
    said: list[str] = []
    console = Console(file=io.StringIO())
    async with Polis(address, ada.token) as polis:
        await chat.install(polis, "echo", {})
        answer = await chat.chat(polis, "echo", "one two three four five six", Heard(said))
        unknown = await chat.chat(polis, "nobody", "hello", console)

    assert (answer, "".join(said)) == (0, "one two three four five six\n")
    assert len(said) > 2
    assert (unknown, "refused" in console.file.getvalue()) == (1, True)


class Heard(Console):
    """A terminal that keeps what was written to it, piece by piece."""

    def __init__(self, said: list[str]) -> None:
        super().__init__(file=io.StringIO())
        self._said = said

    def out(self, *texts: object, **_: object) -> None:
        self._said += [str(text) for text in texts if text]
