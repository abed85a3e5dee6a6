"""One HTTP exchange over ASGI: headers by name, a body with a bound, answers and problems with the headers all share."""

from __future__ import annotations

import asyncio
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any

import msgspec

from polis.proto import Problem, Refused
from polis.proto.problems import Malformed, TooLarge
from polis.service.wire import encode_problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

BODY_TIMEOUT_S = 30.0
"""How long a client may be silent in the middle of a body."""
JSON = b"application/json"
PROBLEM = b"application/problem+json"

SHARED_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)


class Disconnect(Exception):
    """The client went away."""


class Exchange:
    """A request and its one answer."""

    __slots__ = (
        "_receive",
        "_send",
        "extra",
        "headers",
        "method",
        "path",
        "query",
        "request_id",
        "scope",
        "status",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.method: str = scope.get("method", "GET")
        self.path: str = scope["raw_path"].decode("latin-1") if scope.get("raw_path") else scope["path"]
        self.query: bytes = scope["query_string"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.extra: list[tuple[bytes, bytes]] = []
        self.request_id = ""
        self.status = 0
        self._receive = receive
        self._send = send

    @property
    def peer(self) -> str:
        """The address at the other end of the connection."""
        client = self.scope.get("client")
        return client[0] if client else ""

    def header(self, name: bytes) -> str:
        return self.headers.get(name, b"").decode("latin-1")

    def cookies(self) -> dict[str, str]:
        raw = self.headers.get(b"cookie")
        if raw is None:
            return {}
        try:
            return {name: morsel.value for name, morsel in SimpleCookie(raw.decode("latin-1")).items()}
        except CookieError:
            return {}

    async def chunks(self, max_bytes: int) -> AsyncIterator[bytes]:
        """The body as it arrives. Refused(TooLarge) as soon as that is known, before anything is parsed."""
        announced = self.header(b"content-length")
        if announced and (not announced.isdecimal() or int(announced) > max_bytes):
            raise Refused(TooLarge(max_bytes=max_bytes))
        size, more = 0, True
        while more:
            try:
                async with asyncio.timeout(BODY_TIMEOUT_S):
                    message = await self._receive()
            except TimeoutError:
                raise Refused(
                    Malformed(reason=f"the body paused for more than {BODY_TIMEOUT_S:g} s")
                ) from None
            if message["type"] == "http.disconnect":
                raise Disconnect
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > max_bytes:
                raise Refused(TooLarge(max_bytes=max_bytes))
            more = message.get("more_body", False)
            if chunk:
                yield chunk

    async def body(self, max_bytes: int) -> bytes:
        return b"".join([chunk async for chunk in self.chunks(max_bytes)])

    async def disconnected(self) -> None:
        """Return when the client goes away."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def answer(self, status: int, body: bytes, media_type: bytes = JSON) -> None:
        await self.start(status, media_type, (b"content-length", str(len(body)).encode()))
        await self._send({"type": "http.response.body", "body": b"" if self.method == "HEAD" else body})

    async def answer_nothing(self) -> None:
        await self.start(204, None)
        await self.part(b"", more=False)

    async def start(self, status: int, media_type: bytes | None, *headers: tuple[bytes, bytes]) -> None:
        """Begin an answer whose body follows with `part`."""
        self.status = status
        all_headers = [*SHARED_HEADERS, *self.extra, *headers, (b"x-request-id", self.request_id.encode())]
        if media_type is not None:
            all_headers.append((b"content-type", media_type))
        await self._send({"type": "http.response.start", "status": status, "headers": all_headers})

    async def part(self, body: bytes, *, more: bool = True) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": more})

    async def refuse(self, problem: Problem, detail: str = "", instance: str = "") -> None:
        await self.answer_problem(problem.status, encode_problem(problem, detail=detail, instance=instance))

    async def answer_problem(self, status: int, body: bytes) -> None:
        """Answer with a problem, adding the headers that HTTP wants of its status."""
        if status == 401:
            self.extra.append((b"www-authenticate", b'Bearer realm="polis"'))
        if b'"retry_after_s"' in body or b'"allowed"' in body:
            facts = msgspec.json.decode(body, type=_Facts)
            if facts.retry_after_s is not None:
                self.extra.append((b"retry-after", str(max(1, round(facts.retry_after_s))).encode()))
            if facts.allowed is not None and status == 405:
                self.extra.append((b"allow", ", ".join(facts.allowed).encode()))
        await self.answer(status, body, PROBLEM)


class _Facts(msgspec.Struct):
    retry_after_s: float | None = None
    allowed: tuple[str, ...] | None = None
