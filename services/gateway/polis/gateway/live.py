"""`/api/v1/live`: one WebSocket for all that a client follows, or server-sent events for one topic.

Client to server: {"op": "subscribe", "topic": "run/<id>", "after": 17?}, {"op": "unsubscribe", "topic": ...}, and on the
topic `asks` {"op": "answer", "topic": "asks", "answer": {"ask_id": ..., "decision": ...}}, told by `answered` or `problem`.
Server to client, each with its topic: `snapshot`, `events` (transitions, gap-free, their `seq` is the cursor to resume
with; of `conversation/<id>` changes: entries, gap-free too, and typing, presence and marks, which are never kept; of `asks`
changes, and a snapshot at each beginning), `end`, `problem`. Close codes: 4401 token expired or session ended, 4408 too slow, 4400 not understood, 1012 restart.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qsl

import msgspec
from msgspec import Raw, Struct

from polis.gateway.http import AsgiExchange
from polis.gateway.slow import Slow
from polis.gateway.topics import Channels, following
from polis.proto import Refused
from polis.proto.problems import Forbidden, Internal, NotFound, Overloaded, Unauthenticated
from polis.proto.runtime import AnswerAsk
from polis.service.actor import ANONYMOUS
from polis.service.wire import encode_problem
from polis.telemetry import log

if TYPE_CHECKING:
    from polis.gateway.actors import Actors
    from polis.gateway.config import GatewaySettings
    from polis.gateway.credentials import Credentials
    from polis.gateway.http import Receive, Scope, Send
    from polis.gateway.topics import Following
    from polis.service import Actor, Kernel

SEND_TIMEOUT_S = 5.0
_MAX_MESSAGE = 4096
_FRAMES = 256
_CHECK_S = 1.0
_SSE_HEARTBEAT_S = 15.0
_SSE_LOOK_S = 2.0
"""How often it is looked whether who follows still may: within 5 s a session that has ended is at its end everywhere."""
UNDERSTOOD_NOT, UNAUTHORISED, TOO_SLOW, RESTART = 4400, 4401, 4408, 1012


class Command(Struct, frozen=True, forbid_unknown_fields=True):
    """What a client may say on the socket."""

    op: Literal["subscribe", "unsubscribe", "answer"]
    topic: str
    after: int | None = None
    answer: AnswerAsk | None = None


class Live:
    """All sockets of this process, with their bounds."""

    def __init__(
        self, kernel: Kernel, settings: GatewaySettings, credentials: Credentials, actors: Actors
    ) -> None:
        self.kernel = kernel
        self.settings = settings
        self.channels = Channels(kernel)
        self._credentials = credentials
        self._actors = actors
        self._open: dict[str, int] = {}

    async def actor(self, exchange: AsgiExchange) -> Actor:
        """Who connects, by header or cookie (with its origin checked); Refused when nobody, or too often."""
        self._credentials.demand_same_origin(exchange)
        actor = await self._actors.actor(exchange)
        if actor is ANONYMOUS:
            raise Refused(Unauthenticated())
        if sum(self._open.values()) >= self.settings.sockets:
            raise Refused(Overloaded(retry_after_s=5.0))
        if self._open.get(str(actor.principal_id), 0) >= self.settings.sockets_per_principal:
            raise Refused(Overloaded(retry_after_s=5.0))
        return actor

    def opened(self, actor: Actor) -> None:
        key = str(actor.principal_id)
        self._open[key] = self._open.get(key, 0) + 1

    def closed(self, actor: Actor) -> None:
        key = str(actor.principal_id)
        self._open[key] -= 1
        if not self._open[key]:
            del self._open[key]

    async def renewed(self, exchange: AsgiExchange, actor: Actor) -> Actor | None:
        """Who a connection is by now: its token may have expired or its session ended, its key be good for another token."""
        if self.kernel.keys.known(actor.token, exchange.header(b"x-org-id") or None) is not None:
            return actor
        try:
            return await self._actors.actor(exchange)
        except Refused as refusal:
            return None if isinstance(refusal.problem, (Unauthenticated, Forbidden)) else actor

    async def websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = AsgiExchange(scope, receive, send)
        await receive()  # websocket.connect
        try:
            actor = await self.actor(exchange)
        except Refused as refusal:
            await _refuse_upgrade(send, refusal)
            return
        await send({"type": "websocket.accept"})
        self.opened(actor)
        try:
            await Socket(self, exchange, actor, receive, send).run()
        finally:
            self.closed(actor)

    async def events(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Server-sent events of one topic; `Last-Event-ID` resumes (WHATWG HTML 9.2)."""
        exchange = AsgiExchange(scope, receive, send)
        try:
            if exchange.method != "GET":
                raise Refused(NotFound())  # noqa: TRY301 - one place answers refusals
            actor = await self.actor(exchange)
            query = dict(parse_qsl(exchange.query.decode("latin-1")))
            last = exchange.header(b"last-event-id") or query.get("after", "")
            after = int(last) if last.isdecimal() else None
            topic = query.get("topic", "")
            watch = following(self.kernel, self.channels, lambda: actor, topic, after)
            self.opened(actor)
            try:
                async with watch as snapshot:
                    await self._send_events(
                        exchange, watch, actor, msgspec.json.encode(snapshot), snapshot.seq
                    )
            finally:
                self.closed(actor)
        except Refused as refusal:
            if not exchange.status:
                await exchange.refuse(refusal.problem, refusal.detail)

    async def _send_events(
        self, exchange: AsgiExchange, watch: Following, actor: Actor, snapshot: bytes, seq: int
    ) -> None:
        await exchange.start(200, b"text/event-stream", (b"x-accel-buffering", b"no"))
        gone = asyncio.create_task(exchange.disconnected())
        sending = asyncio.create_task(self._events(exchange, watch, actor, snapshot, seq))
        stopping = asyncio.create_task(self.kernel.draining.wait())
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

    async def _events(
        self, exchange: AsgiExchange, watch: Following, actor: Actor, snapshot: bytes, seq: int
    ) -> None:
        name = watch.event.encode()
        await exchange.part(b"id: %d\nevent: snapshot\ndata: %s\n\n" % (seq, snapshot))
        silent_s = 0.0
        while await self.renewed(exchange, actor) is not None:
            try:
                async with asyncio.timeout(_SSE_LOOK_S):
                    transitions = await watch.next()
            except TimeoutError:
                silent_s += _SSE_LOOK_S
                if silent_s >= _SSE_HEARTBEAT_S:
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


class Socket:
    """One open WebSocket: a reader of commands, a task for each topic, one bounded queue of frames to send."""

    def __init__(
        self, live: Live, exchange: AsgiExchange, actor: Actor, receive: Receive, send: Send
    ) -> None:
        self._live = live
        self._exchange = exchange
        self._actor = actor
        self._receive = receive
        self._send = send
        self._frames: asyncio.Queue[str] = asyncio.Queue(_FRAMES)
        self._topics: dict[str, asyncio.Task[None]] = {}
        self._close: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Serve until the client goes, or there is a reason to close it."""
        parts = [asyncio.create_task(part) for part in (self._read(), self._write(), self._guard())]
        reasons: set[asyncio.Future[Any]] = {*parts, self._close}
        try:
            await asyncio.wait(reasons, return_when=asyncio.FIRST_COMPLETED)
            for part in parts:
                if part.done() and part.exception() is not None:
                    log.error("socket.failed", exc_info=part.exception())
        finally:
            everything = [*parts, *self._topics.values()]
            for task in everything:
                task.cancel()
            await asyncio.gather(*everything, return_exceptions=True)
        if self._close.done():
            await self._send_bounded({"type": "websocket.close", "code": self._close.result()})

    async def _read(self) -> None:
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text")
            if text is None or len(text) > _MAX_MESSAGE:
                self._end(UNDERSTOOD_NOT)
                return
            try:
                command = msgspec.json.decode(text, type=Command)
            except msgspec.DecodeError:
                self._end(UNDERSTOOD_NOT)
                return
            await self._obey(command)

    async def _obey(self, command: Command) -> None:
        if command.op == "answer":
            await self._answer(command)
            return
        running = self._topics.pop(command.topic, None)
        if running is not None:
            running.cancel()
        if command.op == "unsubscribe":
            return
        if len(self._topics) >= self._live.settings.subscriptions_per_socket:
            self._push(
                {
                    "op": "problem",
                    "topic": command.topic,
                    "problem": Raw(encode_problem(Overloaded(retry_after_s=1.0))),
                }
            )
            return
        self._topics[command.topic] = asyncio.create_task(self._follow(command))

    async def _answer(self, command: Command) -> None:
        """Answer an ask, and tell how that went. The next command waits meanwhile: nobody answers faster than that."""
        if command.answer is None or command.topic != "asks":
            self._end(UNDERSTOOD_NOT)
            return
        ask_id, actor = command.answer.ask_id, self._actor
        told: dict[str, Any] = {"topic": command.topic, "ask_id": ask_id}
        try:
            ask = await self._live.kernel.caller.call(
                command.answer, token=actor.token, org=str(actor.org_id)
            )
        except Refused as refusal:
            problem = Raw(encode_problem(refusal.problem, detail=refusal.detail))
            self._push({"op": "problem", **told, "problem": problem})
        else:
            self._push({"op": "answered", **told, "data": ask})

    async def _follow(self, command: Command) -> None:
        topic, live = command.topic, self._live
        try:
            watch = following(live.kernel, live.channels, lambda: self._actor, topic, command.after)
            async with watch as snapshot:
                self._push({"op": "snapshot", "topic": topic, "seq": snapshot.seq, "data": snapshot})
                while transitions := await watch.next():
                    self._push({"op": "events", "topic": topic, "seq": watch.last, "data": transitions})
                self._push({"op": "end", "topic": topic, "seq": watch.last})
        except Refused as refusal:
            problem = Raw(encode_problem(refusal.problem, detail=refusal.detail))
            self._push({"op": "problem", "topic": topic, "problem": problem})
        except Slow:
            self._end(TOO_SLOW)
        except Exception as error:  # noqa: BLE001 - the last wall of a topic: recorded, and told without text
            log.error("topic.failed", topic=topic, exc_info=error)
            self._push({"op": "problem", "topic": topic, "problem": Raw(encode_problem(Internal()))})

    async def _write(self) -> None:
        while True:
            frame = await self._frames.get()
            if not await self._send_bounded({"type": "websocket.send", "text": frame}):
                self._end(TOO_SLOW)
                return

    async def _guard(self) -> None:
        """Close when the token no longer holds, or the gateway is going away."""
        draining = self._live.kernel.draining
        while not draining.is_set():
            actor = await self._live.renewed(self._exchange, self._actor)
            if actor is None:
                self._end(UNAUTHORISED)
                return
            self._actor = actor
            try:
                async with asyncio.timeout(_CHECK_S):
                    await draining.wait()
            except TimeoutError:
                continue
        self._end(RESTART)

    def _push(self, frame: dict[str, Any]) -> None:
        try:
            self._frames.put_nowait(msgspec.json.encode(frame).decode())
        except asyncio.QueueFull:
            self._end(TOO_SLOW)

    def _end(self, code: int) -> None:
        if not self._close.done():
            self._close.set_result(code)

    async def _send_bounded(self, message: dict[str, Any]) -> bool:
        """Whether it was sent within the bound; a client that does not read is not waited for."""
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await self._send(message)
        except (TimeoutError, OSError):
            return False
        return True


async def _refuse_upgrade(send: Send, refusal: Refused) -> None:
    """Answer the handshake with the problem itself (ASGI's websocket.http.response extension)."""
    body = encode_problem(refusal.problem, detail=refusal.detail)
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    await send(
        {"type": "websocket.http.response.start", "status": refusal.problem.status, "headers": headers}
    )
    await send({"type": "websocket.http.response.body", "body": body})
