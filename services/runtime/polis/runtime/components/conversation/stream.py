"""The component `conversation.stream`: an answer that is shown while it is being said."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from polis.proto.messaging import MAX_TEXT
from polis.runtime.component import Inputs, Step, StepFailed, component, message
from polis.runtime.components.conversation.place import Answered, Answering, client_id, run_id, text_of
from polis.runtime.components.conversation.speaking import Speaking

_WORD = re.compile(r"\s*\S+\s*")


class _Stream(Answering, frozen=True):
    """by: in pieces as they come, or word by word; pace_ms: between two of them."""

    by: Literal["piece", "word"] = "piece"
    pace_ms: Annotated[int, Meta(ge=0, le=1000)] = 0


@component("conversation.stream")
async def stream(step: Step, inputs: Inputs) -> None:
    answered, config = message(inputs, "message", Answered), msgspec.convert(step.config, _Stream)
    pieces = list(_pieces(inputs["in"], config.by))
    if not text_of("".join(pieces), MAX_TEXT).strip():
        raise StepFailed("conversation.no_text", "there is nothing to say")
    speaking = await Speaking.begin(
        step.reach,
        answered.conversation_id,
        client_id(step),
        run_id(step),
        reply_to=config.reply_to(answered),
        thread=config.thread(answered),
    )
    for number, piece in enumerate(pieces, start=1):
        if not speaking.goes_on:
            break
        await speaking.say(piece)
        step.progress(number, len(pieces))
        if config.pace_ms and not speaking.repeats:
            await asyncio.sleep(config.pace_ms / 1000)
    status = await speaking.end()
    if status.state == "partial":
        raise StepFailed("conversation.broken_off", "the stream was taken to be lost")
    told = {"conversation_id": str(answered.conversation_id), "state": status.state, "shown": status.shown}
    step.emit("out", told | {"seq": status.message_seq})


def _pieces(value: object, by: str) -> Iterator[str]:
    for text in value if isinstance(value, list) else [value]:
        said = text_of(text, MAX_TEXT)
        if by == "word":
            yield from _WORD.findall(said)
        elif said:
            yield said
