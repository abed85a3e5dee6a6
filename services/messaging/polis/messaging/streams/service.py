"""Answers about streams."""

from __future__ import annotations

from polis.messaging.own import Own
from polis.proto import Refused, messaging
from polis.proto.messaging import MessageStream, StreamStatus
from polis.proto.problems import Unavailable
from polis.service import Context, Handlers

handlers = Handlers()


@handlers.handles(messaging.BeginStream)
async def begin_stream(request: messaging.BeginStream, ctx: Context[Own]) -> StreamStatus:
    raise Refused(Unavailable(dependency="messaging"))


@handlers.handles(messaging.ContinueStream)
async def continue_stream(request: messaging.ContinueStream, ctx: Context[Own]) -> StreamStatus:
    raise Refused(Unavailable(dependency="messaging"))


@handlers.handles(messaging.EndStream)
async def end_stream(request: messaging.EndStream, ctx: Context[Own]) -> StreamStatus:
    raise Refused(Unavailable(dependency="messaging"))


@handlers.handles(messaging.AbandonStream)
async def abandon_stream(request: messaging.AbandonStream, ctx: Context[Own]) -> StreamStatus:
    raise Refused(Unavailable(dependency="messaging"))


@handlers.handles(messaging.GetStream)
async def get_stream(request: messaging.GetStream, ctx: Context[Own]) -> MessageStream:
    raise Refused(Unavailable(dependency="messaging"))
