"""Streamed answers over the bus: numbered parts, a window of credit, an end mark or a problem.

The producer sends at most WINDOW parts ahead; the consumer returns credit on the reply subject of each part.
A consumer that vanishes is noticed by missing credit, a producer by a missing part: both give up after a bounded wait.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, cast

import msgspec

from polis.bus import Bus, BusTimeout, Message
from polis.proto import Operation, Refused
from polis.proto.problems import DeadlineExceeded, Unavailable
from polis.service.wire import decode_problem

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

WINDOW = 8
CREDIT_WAIT_S = 30.0
PART = "Polis-Part"
END = "Polis-End"
_ERROR_CODE = "Nats-Service-Error-Code"


async def receive(
    bus: Bus, operation: Operation, payload: bytes, headers: dict[str, str], *, wait_s: float
) -> AsyncIterator[object]:
    """Ask for a stream and yield its parts; Refused when it ends with a problem, breaks or falls silent."""
    inbox = bus.new_inbox()
    parts: asyncio.Queue[Message] = asyncio.Queue(WINDOW + 2)
    subscription = await bus.subscribe(inbox, parts.put_nowait)
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
                return
            if int(message.headers[PART]) != expected:
                raise Refused(Unavailable(dependency=operation.service), "a part of the stream was lost")
            expected += 1
            yield _part(operation, message.payload)
            bus.publish(message.reply, b"")
    finally:
        subscription.unsubscribe()


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
    """Send a stream's parts to `reply` as credit allows, then the end mark. BusTimeout when the consumer vanished."""
    credit = asyncio.Semaphore(WINDOW)
    inbox = bus.new_inbox()
    subscription = await bus.subscribe(inbox, lambda _: credit.release())
    try:
        number = 0
        async with aclosing(parts):
            async for part in parts:
                await _credit(credit)
                payload = part if isinstance(part, bytes) else msgspec.json.encode(part)
                bus.publish(reply, payload, headers={PART: str(number)}, reply=inbox)
                number += 1
        bus.publish(reply, b"", headers={END: str(number)})
    finally:
        subscription.unsubscribe()


async def _credit(credit: asyncio.Semaphore) -> None:
    try:
        async with asyncio.timeout(CREDIT_WAIT_S):
            await credit.acquire()
    except TimeoutError:
        raise BusTimeout("the stream's consumer is gone") from None
