"""Server-sent events of one topic (WHATWG HTML 9.2): the same as a WebSocket tells, to read only. `Last-Event-ID` resumes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import msgspec

from polis.gateway.facades import STREAM
from polis.gateway.slow import Slow
from polis.gateway.views import StreamView
from polis.proto import Refused
from polis.proto.live import Subscribe
from polis.proto.problems import Fault, Invalid, MethodNotAllowed
from polis.service.faults import invalid_from_msgspec
from polis.telemetry import log

if TYPE_CHECKING:
    from polis.gateway.audience import Follower
    from polis.gateway.http import AsgiExchange
    from polis.gateway.live import Holder, Live
    from polis.service import Actor

_HEARTBEAT_S = 15.0
_LOOK_S = 2.0
"""How often it is looked whether who follows still may: within 5 s a session that has ended is at its end everywhere."""
_PENDING = 1_000


async def events(live: Live, exchange: AsgiExchange) -> None:
    """Answer with the events of a topic, for as long as the client stays."""
    asked = live.cors.preflight(exchange)
    exchange.extra += live.cors.headers(exchange) if asked is None else asked
    if asked is not None:
        await exchange.answer_nothing()
        return
    try:
        if exchange.method != "GET":
            raise Refused(MethodNotAllowed(allowed=("GET",)))  # noqa: TRY301 - one place answers refusals
        holder, actor = await live.admit(exchange)
        try:
            await _Events(live, exchange, holder, actor).send()
        finally:
            live.leave(holder)
    except Refused as refusal:
        if not exchange.status:
            await exchange.refuse(refusal.problem, refusal.detail)


def _wanted(exchange: AsgiExchange) -> Subscribe:
    pairs = parse_qsl(exchange.query.decode("latin-1"))
    query = dict(pairs)
    if exchange.path == STREAM:
        if not query.get("npc"):
            raise Refused(Invalid(faults=(Fault("/npc", "Required, and missing"),)))
        query["topic"] = f"agent/{query['npc']}"
    last = exchange.header(b"last-event-id")
    lists: dict[str, list[str]] = {
        name: [each for key, value in pairs if key == name for each in value.split(",")]
        for name in ("kinds", "fields")
        if name in query
    }
    # What a browser sends by itself may be of another stream; what a query says is meant.
    after = (last if last.isdecimal() else None) if last else query.get("after") or None
    said = {"op": "subscribe", "topic": query.get("topic", ""), "after": after, **lists}
    try:
        wanted: Subscribe = msgspec.convert(said, Subscribe, strict=False)
    except msgspec.ValidationError as error:
        raise Refused(invalid_from_msgspec(error)) from None
    return wanted


class _Events:
    """One client that listens to one topic. What it is told waits, within a bound, until it reads."""

    def __init__(self, live: Live, exchange: AsgiExchange, holder: Holder, actor: Actor) -> None:
        self._live = live
        self._exchange = exchange
        self._holder = holder
        self._told: asyncio.Queue[bytes | Exception | None] = asyncio.Queue(_PENDING + 1)
        self.actor = actor

    # What a topic tells (audience.Who, audience.Writer)

    def write(self, data: bytes, /) -> None:
        if self._told.qsize() < _PENDING:
            self._told.put_nowait(data)
        else:
            self._last_word(Slow())

    def line(self) -> None:
        """There is none: an answer of ASGI takes its bytes itself."""

    def ended(self, follower: Follower) -> None:
        del follower
        self._last_word(None)

    def failed(self, follower: Follower, error: Exception) -> None:
        del follower
        self._last_word(error)

    def _last_word(self, word: Exception | None) -> None:
        if not self._told.full():
            self._told.put_nowait(word)

    # What the client is sent

    async def send(self) -> None:
        """Refused before the answer has begun."""
        wanted = _wanted(self._exchange)
        name = "transition" if wanted.topic.startswith("run/") else "change"
        view = StreamView(name, wanted.kinds, wanted.fields)
        following = self._live.topics.follow(self, self, wanted, view)
        try:
            first = await self._told.get()
            if isinstance(first, Exception):
                raise first
            await self._send(first or b"")
        finally:
            following.leave()

    async def _send(self, first: bytes) -> None:
        exchange = self._exchange
        await exchange.start(200, b"text/event-stream", (b"x-accel-buffering", b"no"))
        gone = asyncio.create_task(exchange.disconnected())
        sending = asyncio.create_task(self._go_on(first))
        stopping = asyncio.create_task(self._live.kernel.draining.wait())
        tasks: set[asyncio.Task[Any]] = {gone, sending, stopping}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if gone.cancelled():
            await exchange.part(b"", more=False)
        if (
            not sending.cancelled()
            and (error := sending.exception())
            and not isinstance(error, (Slow, Refused, OSError))
        ):
            log.error("events.failed", exc_info=error)

    async def _go_on(self, told: bytes) -> None:
        """Until there is no more, or the client may follow no more."""
        await self._exchange.part(told)
        silent_s = 0.0
        while (actor := await self._live.renewed(self._holder, self.actor)) is not None:
            self.actor = actor
            try:
                async with asyncio.timeout(_LOOK_S):
                    word = await self._told.get()
            except TimeoutError:
                silent_s += _LOOK_S
                if silent_s >= _HEARTBEAT_S:
                    silent_s = 0.0
                    await self._exchange.part(b": still here\n\n")
                continue
            silent_s = 0.0
            if word is None:
                return
            if isinstance(word, Exception):
                raise word
            await self._exchange.part(word)
