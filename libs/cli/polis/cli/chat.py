"""Talking to an agent in the terminal: what it answers is shown while it is being said."""

from __future__ import annotations

import asyncio
import secrets
import sys
import threading
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import aiohttp
from msgspec import Struct
from rich.text import Text

from polis.cli.api import Api, Problem
from polis.client import Polis
from polis.proto.identity import GetAgent
from polis.proto.messaging import GetStream, OpenDirect, PostMessage
from polis.proto.runtime import InstallAssistant

if TYPE_CHECKING:
    from rich.console import Console

ANSWER_S = 120.0
"""How long an answer is waited for."""
_CONTROLS = dict.fromkeys(n for n in (*range(0x20), *range(0x7F, 0xA0)) if chr(n) not in "\t\n")
"""By these whoever answers would move the cursor, name the window, or do whatever else a terminal obeys (ECMA-48)."""


async def _install(polis: Polis, assistant: str, settings: Mapping[str, str]) -> None:
    """Have an assistant work in the org. A setting that names a file of this machine becomes a file of the org."""
    given = {name: await _value(polis, value) for name, value in settings.items()}
    await polis.call(InstallAssistant(assistant=assistant, settings=given))


async def _value(polis: Polis, value: object) -> object:
    file = _file(value)
    if file is None:
        return value
    async with Api(polis.address, polis.token) as api:
        artifact = await api.upload(file, name=file.name, media_type="application/octet-stream")
    return {"artifact_id": artifact["id"], "name": artifact["name"], "size": artifact["size"]}


def _file(value: object) -> Path | None:
    file = Path(str(value)).expanduser()
    return file if file.is_file() else None


class Wish(Struct, frozen=True):
    """Whom to talk to, and what to say: each line of the input without words. settings: those of an assistant to be had first."""

    agent: str
    words: str = ""
    settings: Mapping[str, str] | None = None


async def chat(polis: Polis, wish: Wish, console: Console) -> int:
    """Say something and show what is answered; the exit code."""
    agent = wish.agent
    try:
        if wish.settings is not None:
            await _install(polis, agent, wish.settings)
        them = await polis.call(GetAgent(agent=agent))
        room = await polis.call(OpenDirect(principal_id=them.id))
        async for line in _lines(wish.words, console):
            posted = await polis.call(
                PostMessage(conversation_id=room.id, text=line, client_id=secrets.token_hex(16))
            )
            answer = Answer(polis, them.id, console)
            async with asyncio.timeout(ANSWER_S):
                await answer.show(room.id, posted.seq)
    except (Problem, aiohttp.ClientError) as problem:
        word = "refused" if isinstance(problem, Problem) and problem.status else "no connection"
        console.print(Text.assemble((f"{word}: ", "red"), str(problem)), soft_wrap=True)
        return 1
    except TimeoutError:
        console.print(Text(f"{agent} has not answered for {ANSWER_S:.0f} s", style="red"))
        return 1
    return 0


async def _lines(words: str, console: Console) -> AsyncIterator[str]:
    if words:
        yield words
        return
    typed: asyncio.Queue[str] = asyncio.Queue()
    # A thread that nobody waits for: who presses Ctrl-C shall not have to press Enter, too.
    reading = (asyncio.get_running_loop(), typed)
    threading.Thread(target=_read, args=reading, name="input", daemon=True).start()
    while True:
        if sys.stdin.isatty():
            console.print("[b]you:[/b] ", end="")
        line = await typed.get()
        if not line:
            return
        if line.strip():
            yield line.strip()


def _read(loop: asyncio.AbstractEventLoop, typed: asyncio.Queue[str]) -> None:
    for line in sys.stdin:
        loop.call_soon_threadsafe(typed.put_nowait, line)
    loop.call_soon_threadsafe(typed.put_nowait, "")


class Answer:
    """What somebody answers to one message. `shown`: how many characters of it are."""

    def __init__(self, polis: Polis, them: UUID, console: Console) -> None:
        self._polis = polis
        self._them = str(them)
        self._console = console
        self.shown = 0

    async def show(self, conversation_id: UUID, after: int) -> None:
        """Return when the answer is a message, all of which was shown."""
        async for change in self._polis.follow(f"conversation/{conversation_id}", after=after):
            stream, entry = change.data.get("stream"), change.data.get("entry")
            if stream and stream["producer_id"] == self._them:
                await self._piece(stream)
            if entry and entry["kind"] == "posted" and entry["actor_id"] == self._them:
                self._end(entry["message"])
                return

    async def _piece(self, stream: dict[str, Any]) -> None:
        at, text = stream["at"], stream.get("text", "")
        if at > self.shown:  # some of it was said before anybody listened
            said = await self._polis.call(GetStream(stream_id=UUID(stream["stream_id"]), at=self.shown))
            at, text = said.at, said.text
        self._print(text[max(0, self.shown - at) :])
        self.shown = max(self.shown, at + len(text))

    def _end(self, message: dict[str, Any]) -> None:
        self._print(message.get("text", "")[self.shown :] + "\n")
        state = (message.get("stream") or {}).get("state", "complete")
        if state != "complete":
            self._console.print(f"[dim]({state})[/dim]")

    def _print(self, text: str) -> None:
        self._console.out(text.translate(_CONTROLS), end="", highlight=False)
