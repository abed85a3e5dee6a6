"""What an agent answers, as it is shown in a terminal."""

from __future__ import annotations

import io
from uuid import UUID

from rich.console import Console

from polis.cli.chat import Answer
from polis.client import Change

THEM = UUID(int=7)


class Conversation:
    """A client whose gateway tells these changes of a conversation."""

    def __init__(self, *told):
        self.told = told

    async def follow(self, topic, *, after):
        for seq, data in enumerate(self.told, after + 1):
            yield Change("change", seq, data)


async def test_an_answer_is_shown_and_tells_the_terminal_nothing():
    said = "Ünïcode \x1b]0;window\x07\x1b[31mred\x9b0m\r\ntail"
    piece = {"stream": {"producer_id": str(THEM), "at": 0, "text": said[:12]}}
    posted = {"entry": {"kind": "posted", "actor_id": str(THEM), "message": {"text": said}}}
    console = Console(file=io.StringIO())

    await Answer(Conversation(piece, posted), THEM, console).show(UUID(int=1), 0)

    assert console.file.getvalue() == "Ünïcode ]0;window[31mred0m\ntail\n"
