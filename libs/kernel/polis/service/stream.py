"""Streamed answers over the bus: numbered parts, a window of credit, an end mark or a problem.

The producer sends at most WINDOW parts ahead; the consumer returns credit on the reply subject of each part, or says there
that it leaves. Who vanishes without a word is noticed by missing credit or a missing part: both give up after a bounded wait.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, cast

import msgspec

from polis.bus import Bus, BusError, BusTimeout, Message
from polis.proto import Operation, Refused
from polis.proto.problems import DeadlineExceeded, Unavailable
from polis.service.wire import decode_problem

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

WINDOW = 8
CREDIT_WAIT_S = 30.0
PART = "Polis-Part"
END = "Polis-End"
LEAVES = b"leaves"
"""In place of credit: the consumer wants no more."""
_ERROR_CODE = "Nats-Service-Error-Code"


async def receive(
    bus: Bus, operation: Operation, payload: bytes, headers: bytes, *, wait_s: float
) -> AsyncIterator[object]:
    """Ask for a stream and yield its parts; Refused when it ends with a problem, breaks or falls silent."""
    inbox = bus.new_inbox()
    parts: asyncio.Queue[Message] = asyncio.Queue(WINDOW + 2)
    subscription = await bus.subscribe(inbox, parts.put_nowait)
    producer = ""
    try:
        bus.publish(operation.subject, payload, headers=headers, reply=inbox)
        expected = 0
        while True:
            message = await _next(parts, operation, wait_s)
            if message.status == 503:
                raise Refused(Unavailable(dependency=operation.service))
            if _ERROR_CODE in message.headers:
                raise Refused(*decode_problem(message.payload))
            if END in message.headers:
                producer = ""
                return
            producer = message.reply
            if int(message.headers[PART]) != expected:
                raise Refused(Unavailable(dependency=operation.service), "a part of the stream was lost")
            expected += 1
            yield _part(operation, message.payload)
            bus.publish(producer, b"")
    finally:
        subscription.unsubscribe()
        if producer:
            with suppress(BusError):
                bus.publish(producer, LEAVES)


async def _next(parts: asyncio.Queue[Message], operation: Operation, wait_s: float) -> Message:
    try:
        async with asyncio.timeout(wait_s):
            return await parts.get()
    except TimeoutError:
        raise Refused(DeadlineExceeded(), f"no part of {operation.name} for {wait_s:g} s") from None


def _part(operation: Operation, payload: bytes) -> object:
    if operation.answer is bytes:
        return payload
    return msgspec.json.decode(payload, type=cast("type[object]", operation.answer))


async def send(bus: Bus, reply: str, parts: AsyncGenerator[object, None]) -> None:
    """Send a stream's parts to `reply` as credit allows, then the end mark. BusTimeout when the consumer is gone."""
    credit = _Credit()
    inbox = bus.new_inbox()
    subscription = await bus.subscribe(inbox, credit.returned)
    try:
        number = 0
        async with aclosing(parts):
            async for part in parts:
                await credit.take()
                payload = part if isinstance(part, bytes) else msgspec.json.encode(part)
                bus.publish(reply, payload, headers={PART: str(number)}, reply=inbox)
                number += 1
        bus.publish(reply, b"", headers={END: str(number)})
    finally:
        subscription.unsubscribe()


class _Credit:
    """How many parts may be sent ahead."""

    def __init__(self) -> None:
        self._left = asyncio.Semaphore(WINDOW)
        self._gone = False

    def returned(self, message: Message) -> None:
        self._gone = self._gone or message.payload == LEAVES
        self._left.release()

    async def take(self) -> None:
        try:
            async with asyncio.timeout(CREDIT_WAIT_S):
                await self._left.acquire()
        except TimeoutError:
            self._gone = True
        if self._gone:
            raise BusTimeout("the stream's consumer is gone")
