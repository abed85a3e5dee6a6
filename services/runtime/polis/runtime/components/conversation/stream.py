"""The component `conversation.stream`: an answer that is shown while it is being said."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from polis.proto.messaging import MAX_TEXT, Attributes, Parts
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
    said = _said(inputs["in"])
    pieces = list(_pieces(said.text, config.by))
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
    status = await speaking.end(said.parts, said.attributes)
    if status.state == "partial":
        raise StepFailed("conversation.broken_off", "the stream was taken to be lost")
    told = {"conversation_id": str(answered.conversation_id), "state": status.state, "shown": status.shown}
    step.emit("out", told | {"seq": status.message_seq})


class _Said(Struct, frozen=True):
    """What is said, and what its message holds besides."""

    text: str | list[str]
    parts: Parts = ()
    attributes: Attributes = {}


def _said(value: object) -> _Said:
    return message({"in": value if isinstance(value, dict) else {"text": value}}, "in", _Said)


def _pieces(text: str | list[str], by: str) -> Iterator[str]:
    for each in text if isinstance(text, list) else [text]:
        said = text_of(each, MAX_TEXT)
        if by == "word":
            yield from _WORD.findall(said)
        elif said:
            yield said
