"""The components `conversation.post` and `conversation.reply`: one message, said once however often the step is done."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from polis.proto import messaging
from polis.proto.messaging import MAX_TEXT, Attributes, Mentioned, Parts, Text
from polis.runtime.component import Inputs, Step, StepFailed, component, message
from polis.runtime.components.conversation.place import Answered, Answering, client_id, text_of

Place = Annotated[UUID | None, Meta(description="Where it is said.")]


class _Said(Struct, frozen=True):
    """What is said, besides a mere text."""

    text: Text = ""
    parts: Parts = ()
    attributes: Attributes = {}
    mentions: Mentioned = ()
    conversation_id: UUID | None = None
    principal_id: UUID | None = None
    reply_to: int | None = None
    thread: int | None = None


class _Post(Struct, frozen=True):
    """A conversation, or somebody with whom there is one of two."""

    conversation_id: UUID | None = None
    principal_id: UUID | None = None


@component("conversation.post")
async def post(step: Step, inputs: Inputs) -> None:
    said, config = _said(inputs["in"]), msgspec.convert(step.config, _Post)
    conversation_id = config.conversation_id or said.conversation_id
    principal_id = config.principal_id or said.principal_id
    if conversation_id is None and principal_id is not None:
        opened = await step.reach.call(messaging.OpenDirect(principal_id), key=client_id(step))
        conversation_id = opened.id
    if conversation_id is None:
        raise StepFailed("conversation.nowhere", "neither the node nor the message says where to post")
    await _post(step, conversation_id, said, reply_to=said.reply_to, thread=said.thread)


@component("conversation.reply")
async def reply(step: Step, inputs: Inputs) -> None:
    answered, how = message(inputs, "message", Answered), msgspec.convert(step.config, Answering)
    await _post(
        step,
        answered.conversation_id,
        _said(inputs["in"]),
        reply_to=how.reply_to(answered),
        thread=how.thread(answered),
    )


async def _post(
    step: Step, conversation_id: UUID, said: _Said, *, reply_to: int | None, thread: int | None
) -> None:
    request = messaging.PostMessage(
        conversation_id,
        said.text,
        said.parts,
        client_id=client_id(step),
        reply_to=reply_to,
        thread=thread,
        mentions=said.mentions,
        attributes=said.attributes,
    )
    posted = await step.reach.call(request, key="")
    step.emit("out", {"conversation_id": str(conversation_id), "seq": posted.seq})


def _said(value: object) -> _Said:
    if isinstance(value, dict):
        return message({"in": value}, "in", _Said)
    return _Said(text_of(value, MAX_TEXT))
