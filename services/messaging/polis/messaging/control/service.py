"""Answers about control."""

from __future__ import annotations

from polis.messaging.own import Own
from polis.proto import Refused, messaging
from polis.proto.messaging import ControlAnswer
from polis.proto.problems import Unavailable
from polis.service import Context, Handlers

handlers = Handlers()


@handlers.handles(messaging.ControlConversation)
async def control_conversation(request: messaging.ControlConversation, ctx: Context[Own]) -> ControlAnswer:
    raise Refused(Unavailable(dependency="messaging"))
