"""Server-sent events of one topic (WHATWG HTML 9.2): the same as a WebSocket tells, to read only. `Last-Event-ID` resumes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import msgspec

from polis.gateway.slow import Slow
from polis.gateway.topics import following
from polis.proto import Refused
from polis.proto.problems import NotFound
from polis.telemetry import log

if TYPE_CHECKING:
    from polis.gateway.http import AsgiExchange
    from polis.gateway.live import Holder, Live
    from polis.gateway.topics import Following
    from polis.service import Actor

_HEARTBEAT_S = 15.0
_LOOK_S = 2.0
"""How often it is looked whether who follows still may: within 5 s a session that has ended is at its end everywhere."""


async def events(live: Live, exchange: AsgiExchange) -> None:
    """Answer with the events of a topic, for as long as the client stays."""
    try:
        if exchange.method != "GET":
            raise Refused(NotFound())  # noqa: TRY301 - one place answers refusals
        holder, actor = await live.admit(exchange)
        try:
            await _Events(live, exchange, holder, actor).send()
        finally:
            live.leave(actor)
    except Refused as refusal:
        if not exchange.status:
            await exchange.refuse(refusal.problem, refusal.detail)


class _Events:
    """One client that listens to one topic."""

    def __init__(self, live: Live, exchange: AsgiExchange, holder: Holder, actor: Actor) -> None:
        self._live = live
        self._exchange = exchange
        self._holder = holder
        self._actor = actor

    async def send(self) -> None:
        """Refused before the answer has begun."""
        query = dict(parse_qsl(self._exchange.query.decode("latin-1")))
        last = self._exchange.header(b"last-event-id") or query.get("after", "")
        after = int(last) if last.isdecimal() else None
        live, topic = self._live, query.get("topic", "")
        watch = following(live.kernel, live.channels, lambda: self._actor, topic, after)
        async with watch as snapshot:
            await self._send(watch, msgspec.json.encode(snapshot), snapshot.seq)

    async def _send(self, watch: Following, snapshot: bytes, seq: int) -> None:
        exchange = self._exchange
        await exchange.start(200, b"text/event-stream", (b"x-accel-buffering", b"no"))
        gone = asyncio.create_task(exchange.disconnected())
        sending = asyncio.create_task(self._tell(watch, snapshot, seq))
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

    async def _tell(self, watch: Following, snapshot: bytes, seq: int) -> None:
        name, exchange = watch.event.encode(), self._exchange
        await exchange.part(b"id: %d\nevent: snapshot\ndata: %s\n\n" % (seq, snapshot))
        silent_s = 0.0
        while (actor := await self._live.renewed(self._holder, self._actor)) is not None:
            self._actor = actor
            try:
                async with asyncio.timeout(_LOOK_S):
                    transitions = await watch.next()
            except TimeoutError:
                silent_s += _LOOK_S
                if silent_s >= _HEARTBEAT_S:
                    silent_s = 0.0
                    await exchange.part(b": still here\n\n")
                continue
            silent_s = 0.0
            for transition in transitions:
                data = msgspec.json.encode(transition)
                await exchange.part(b"id: %d\nevent: %s\ndata: %s\n\n" % (transition.seq, name, data))
            if not transitions:
                await exchange.part(b"id: %d\nevent: end\ndata: {}\n\n" % watch.last)
                return
