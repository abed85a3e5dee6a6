"""The component `conversation.read`: what was said last, as who the run acts as may read it."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from polis.proto import messaging
from polis.runtime.component import Inputs, Step, component, message
from polis.runtime.components.conversation.place import Answered

_SHOWN = ("seq", "sender_id", "sent_at", "text", "parts", "reply_to", "thread", "attributes")


class _Read(Struct, frozen=True):
    """How much of it."""

    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    thread: bool = False


@component("conversation.read")
async def read(step: Step, inputs: Inputs) -> None:
    wanted, config = message(inputs, "in", Answered), msgspec.convert(step.config, _Read)
    thread = (wanted.thread or wanted.seq) if config.thread else None
    request = messaging.ListMessages(wanted.conversation_id, thread=thread, limit=config.limit)
    page = await step.reach.call(request, key="")
    shown = [
        _shown(each, step.reach.me)
        for each in reversed(page.items)
        if each.deleted_at is None and (wanted.seq is None or each.seq <= wanted.seq)
    ]
    told = {"conversation_id": str(wanted.conversation_id), "me": step.reach.me, "messages": shown}
    step.emit("out", told)


def _shown(said: messaging.Message, me: str) -> dict[str, object]:
    value = msgspec.json.decode(msgspec.json.encode(said), type=dict[str, object])
    return {name: value[name] for name in _SHOWN} | {"mine": str(said.sender_id) == me}
