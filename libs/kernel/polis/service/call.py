"""Calling an operation through the bus: encode, send, wait until the deadline, decode the answer or raise the refusal."""

from __future__ import annotations

import time
from functools import cache, lru_cache
from typing import TYPE_CHECKING, TypeVar, cast

import msgspec

from polis.bus import Bus, BusTimeout, Disconnected, Message, NoResponders
from polis.bus.protocol import header_block, header_lines
from polis.proto import Operation, Refused, Request, Stream
from polis.proto.contract import operation_of
from polis.proto.problems import DeadlineExceeded, Unavailable
from polis.service.stream import receive
from polis.service.wire import decode_problem
from polis.telemetry import spans, trace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from polis.telemetry import Trace

A = TypeVar("A")
T = TypeVar("T")

ERROR_CODE = "Nats-Service-Error-Code"
ERROR = "Nats-Service-Error"
DEADLINE = "Polis-Deadline"
ACTOR = "Polis-Actor"
ORG = "Polis-Org"
IDEMPOTENCY_KEY = "Idempotency-Key"
TRACE = "traceparent"
REQUEST_ID = "Polis-Request-Id"
CLIENT_ADDRESS = "Polis-Client-Address"
CLIENT_DEVICE = "Polis-Client-Device"
CONTENT_TYPE = "Content-Type"
_MAX_ADDRESS, _MAX_DEVICE = 64, 200

_json = msgspec.json.Encoder()
_msgpack = msgspec.msgpack.Encoder()


class Caller:
    """Sends requests of this process. Retrying is the outermost caller's business, never done here."""

    def __init__(self, bus: Bus, *, timeout_s: float) -> None:
        self.bus = bus
        self._timeout_s = timeout_s

    async def call(
        self,
        request: Request[A],
        *,
        token: str = "",
        org: str = "",
        idempotency_key: str = "",
        timeout_s: float | None = None,
        client: Mapping[str, str] | None = None,
    ) -> A:
        """The operation's answer. Refused with its problem, or Unavailable, DeadlineExceeded, Overloaded.

        client: `client_headers` of whom the gateway calls for.
        """
        operation = operation_of(type(request))
        wait = self._timeout_s if timeout_s is None else timeout_s
        here = _child()
        more = {**(client or {}), IDEMPOTENCY_KEY: idempotency_key} if idempotency_key else client
        headers = headers_of(token=token, org=org, timeout_s=wait, here=here, more=more)
        started = time.monotonic()
        try:
            reply = await self.send(operation, encode(operation, request), headers, timeout_s=wait)
            answer = decode_answer(operation, reply)
        except Refused as refusal:
            _record(operation, here, started, refusal.problem.type)
            raise
        _record(operation, here, started, "")
        return cast("A", answer)

    async def send(
        self, operation: Operation, payload: bytes, headers: bytes, *, timeout_s: float
    ) -> Message:
        """The raw reply to a raw request. Refused when nobody answers, in time or at all."""
        if timeout_s <= 0:
            raise Refused(DeadlineExceeded())
        try:
            return await self.bus.request(operation.subject, payload, headers=headers, timeout_s=timeout_s)
        except (NoResponders, BusTimeout, Disconnected) as error:
            raise refusal_of(operation, error) from None

    async def stream(
        self, request: Request[Stream[T]], *, token: str = "", org: str = "", timeout_s: float | None = None
    ) -> AsyncIterator[T]:
        """The parts of a streamed answer, in order, with the producer held back while they are not taken.

        timeout_s bounds the wait for each part. Refused as `call`, also in the middle of a stream.
        """
        operation = operation_of(type(request))
        wait = self._timeout_s if timeout_s is None else timeout_s
        headers = headers_of(token=token, org=org, timeout_s=wait, here=_child())
        async for part in receive(self.bus, operation, encode(operation, request), headers, wait_s=wait):
            yield cast("T", part)


def refusal_of(operation: Operation, error: NoResponders | BusTimeout | Disconnected) -> Refused:
    """What the lack of a reply means to who asked."""
    match error:
        case NoResponders():
            return Refused(Unavailable(dependency=operation.service))
        case BusTimeout():
            return Refused(DeadlineExceeded())
        case Disconnected():
            return Refused(Unavailable(dependency="nats"))


def headers_of(
    *, token: str, org: str, timeout_s: float, here: Trace, more: Mapping[str, str] | None = None
) -> bytes:
    """The header block of a call."""
    lines = _lines_of(token, org)
    if more:
        lines += header_lines(more)
    deadline = int((time.time() + timeout_s) * 1000)
    return header_block(f"{TRACE}: {here.header}\r\n{DEADLINE}: {deadline}\r\n{lines}")


@lru_cache(maxsize=1024)
def _lines_of(token: str, org: str) -> str:
    """What is the same in each call of somebody: most of the block."""
    said = {ACTOR: token, ORG: org}
    return header_lines({name: value for name, value in said.items() if value})


def client_headers(address: str, device: str) -> dict[str, str]:
    """What the gateway tells of the client it answers: its address, and what it calls itself, in printable ASCII."""
    told = {CLIENT_ADDRESS: address[:_MAX_ADDRESS], CLIENT_DEVICE: device[:_MAX_DEVICE]}
    return {name: "".join(c if " " <= c <= "~" else "?" for c in value) for name, value in told.items()}


def encode(operation: Operation, request: object) -> bytes:
    """A request as it travels: MessagePack where bytes are in it, JSON otherwise."""
    return _msgpack.encode(request) if operation.binary else _json.encode(request)


@cache
def request_decoder(operation: Operation) -> msgspec.json.Decoder[object] | msgspec.msgpack.Decoder[object]:
    kind = cast("type[object]", operation.request)
    return msgspec.msgpack.Decoder(kind) if operation.binary else msgspec.json.Decoder(kind)


@cache
def answer_decoder(operation: Operation) -> msgspec.json.Decoder[object]:
    return msgspec.json.Decoder(cast("type[object]", operation.answer))


def encode_answer(answer: object) -> bytes:
    return b"" if answer is None else _json.encode(answer)


def decode_answer(operation: Operation, reply: Message) -> object:
    """The answer in a reply; raises the refusal that it carries instead."""
    if ERROR_CODE in reply.headers:
        raise Refused(*decode_problem(reply.payload))
    if operation.answer is None:
        return None
    return answer_decoder(operation).decode(reply.payload)


def _child() -> Trace:
    here = trace.current()
    return here.child() if here is not None else trace.start()


def _record(operation: Operation, here: Trace, started: float, error: str) -> None:
    if spans.recording(here, failed=bool(error)):
        attributes = {"messaging.system": "nats", "messaging.destination.name": operation.subject}
        seconds = time.monotonic() - started
        spans.record(
            operation.subject, here, kind="client", seconds=seconds, attributes=attributes, error=error
        )
