"""One socket for all that a client follows and says: opened when something is wanted of it, closed soon after nothing is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from itertools import count
from typing import Any

import aiohttp

from polis.client.problem import Problem, unauthenticated

_REVOKED, _UNDERSTOOD_NOT = 4401, 4400
LINGER_S = 1.0
MOST_WAITING = 1_000
"""More is not held for a reader who does not keep up: its topic is left, and resumed once all was read."""
MOST_TOPICS = 100
MOST_CALLS = 32
_TIMEOUT_S = 30.0

Connect = Callable[[], Awaitable[aiohttp.ClientWebSocketResponse]]


class Cut(aiohttp.ClientConnectionError):
    """The socket is gone. sent: whether what was said may have been heard."""

    def __init__(self, reason: str, *, sent: bool = False) -> None:
        super().__init__(reason)
        self.sent = sent


class Wire:
    """connect: opens a socket, or raises Problem or aiohttp's errors."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._opening = asyncio.Lock()
        self._failure: Exception | None = None
        """Why the last dial that failed opened no socket."""
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._reader: asyncio.Task[None] | None = None
        self._topics: dict[str, _Inbox] = {}
        self._stale: set[str] = set()
        self._calls: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._turn = asyncio.Semaphore(MOST_CALLS)
        self._ids = count(1)
        self._rest: asyncio.TimerHandle | None = None
        self._closing: asyncio.Future[bool] | None = None

    def takes(self, topic: str) -> bool:
        return len(self._topics) < MOST_TOPICS and topic not in self._topics and topic not in self._stale

    async def frames(self, topic: str, **wanted: Any) -> AsyncGenerator[dict[str, Any], None]:
        """Of a topic, for as long as the socket lives: then Cut. Problem when it may not be followed."""
        inbox = self._topics[topic] = _Inbox()
        socket = None
        try:
            socket = await self._open()
            await socket.send_json({"op": "subscribe", "topic": topic, **wanted})
            while True:
                frame = await inbox.next()
                if frame["op"] == "problem":
                    raise Problem(frame["problem"])
                yield frame
                if frame["op"] == "end":
                    return
        finally:
            del self._topics[topic]
            if socket is not None and socket is self._socket and not inbox.ended:
                if not inbox.begun:  # what is on its way for this one is not the next one's
                    self._stale.add(topic)
                with suppress(aiohttp.ClientError):
                    await socket.send_json({"op": "unsubscribe", "topic": topic})
            self._linger()

    async def call(self, name: str, request: bytes, key: str) -> Any:
        """The answer. request: as JSON. Problem when it is refused, Cut when nobody knows."""
        async with self._turn:
            call_id = next(self._ids)
            answer = self._calls[call_id] = asyncio.get_running_loop().create_future()
            answer.add_done_callback(_heard)
            told = f',"key":"{key}"' if key else ""
            text = f'{{"op":"call","id":{call_id},"name":"{name}"{told},"request":{request.decode()}}}'
            sent = False
            try:
                async with asyncio.timeout(_TIMEOUT_S):
                    socket = await self._opened()
                    sent = True
                    await socket.send_str(text)
                    frame = await answer
            except TimeoutError:
                raise Cut("there was no answer in time", sent=sent) from None
            finally:
                del self._calls[call_id]
                self._linger()
        if frame["op"] == "problem":
            raise Problem(frame["problem"])
        return frame["data"]

    async def close(self) -> None:
        """What is still followed or said fails."""
        if self._rest is not None:
            self._rest.cancel()
        socket, self._socket = self._socket, None
        closed = RuntimeError("the client was closed")
        self._end(closed, unanswered=lambda: closed)
        if socket is not None:
            await socket.close()
        if self._reader is not None and self._reader is not asyncio.current_task():
            with suppress(asyncio.CancelledError):
                await self._reader

    async def _opened(self) -> aiohttp.ClientWebSocketResponse:
        try:
            return await self._open()
        except (aiohttp.ClientError, OSError) as error:
            raise Cut(str(error)) from error

    async def _open(self) -> aiohttp.ClientWebSocketResponse:
        """Who waits while another one dials has its socket, or its failure: one after another they waited ever longer."""
        failure = self._failure
        async with self._opening:
            if self._socket is None:
                if self._failure is not None and self._failure is not failure:
                    raise self._failure
                self._socket = await self._dial()
                self._reader = asyncio.create_task(self._read(self._socket))
            return self._socket

    async def _dial(self) -> aiohttp.ClientWebSocketResponse:
        try:
            return await self._connect()
        except Exception as error:
            self._failure = error
            raise

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        fault: Exception | None = None
        why = ""
        try:
            while (message := await socket.receive()).type is aiohttp.WSMsgType.TEXT:
                await self._take(socket, message.json())
            why = message.extra or ""
        except Exception as error:  # noqa: BLE001 - whatever it is: who waits for words of this socket is told that none come
            fault = error
        await socket.close()
        if self._socket is not socket:  # left, and what is wanted by now is another's
            return
        self._socket = None
        reason = (
            _reason(socket.close_code, why) if fault is None else Cut(f"the connection failed: {fault!r}")
        )
        self._end(reason, unanswered=lambda: Cut(str(reason), sent=True))

    def _end(self, reason: Exception, *, unanswered: Callable[[], Exception]) -> None:
        self._stale.clear()
        for inbox in self._topics.values():
            inbox.fail(reason)
        for answer in self._calls.values():
            if not answer.done():
                answer.set_exception(unanswered())

    async def _take(self, socket: aiohttp.ClientWebSocketResponse, frame: dict[str, Any]) -> None:
        if "id" in frame:
            answer = self._calls.get(frame["id"])
            if answer is not None and not answer.done():
                answer.set_result(frame)
        elif (inbox := self._topics.get(frame.get("topic", ""))) is not None and not inbox.take(frame):
            inbox.fail(Cut("it was read too slowly"))
            await socket.send_json({"op": "unsubscribe", "topic": frame["topic"]})

    def _linger(self) -> None:
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        if self._socket is not None and not self._topics and not self._calls:
            self._rest = asyncio.get_running_loop().call_later(LINGER_S, self._leave)

    def _leave(self) -> None:
        socket = self._socket
        if socket is not None and not self._topics and not self._calls:
            self._socket = None
            self._stale.clear()
            self._closing = asyncio.ensure_future(socket.close())


class _Inbox:
    """The frames of one topic that were not read yet."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[dict[str, Any] | Exception] = asyncio.Queue()
        self.begun = False
        self.ended = False

    async def next(self) -> dict[str, Any]:
        word = await self._waiting.get()
        if isinstance(word, Exception):
            raise word
        return word

    def take(self, frame: dict[str, Any]) -> bool:
        """False when too much waits."""
        self.begun = self.begun or frame["op"] in ("snapshot", "problem")
        if self.begun and not self.ended:
            self.ended = frame["op"] in ("end", "problem")
            self._waiting.put_nowait(frame)
        return self.ended or self._waiting.qsize() < MOST_WAITING

    def fail(self, error: Exception) -> None:
        self.ended = True
        self._waiting.put_nowait(error)


def _heard(answer: asyncio.Future[dict[str, Any]]) -> None:
    """Its caller may have failed otherwise, and not have asked."""
    if not answer.cancelled():
        answer.exception()


def _reason(code: int | None, why: str) -> Exception:
    if code == _REVOKED:
        return unauthenticated()
    if code == _UNDERSTOOD_NOT:
        return Problem({"title": "The gateway does not understand this client.", "detail": why})
    return Cut(f"the connection was closed with {code}")
