"""One HTTP exchange, however it came: headers by name, a body with a bound, answers and problems with what all share."""

from __future__ import annotations

import asyncio
import re
import time
from datetime import datetime
from functools import cache
from math import ceil
from typing import TYPE_CHECKING, Any

import msgspec

from polis.gateway import oauth
from polis.proto import Problem, Refused
from polis.proto.problems import Malformed, TooLarge
from polis.service.actor import ANONYMOUS
from polis.service.wire import encode_problem
from polis.telemetry import trace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping

    from polis.gateway.buckets import Left
    from polis.gateway.credentials import Bearer
    from polis.service.actor import Actor

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
    Header = tuple[bytes, bytes]

BODY_TIMEOUT_S = 30.0
"""How long a client may be silent in the middle of a body."""
BODY_BYTES_PER_S = 16 * 1024
"""How fast a long body must come at the least, beside that: a client that trickles holds a connection no longer."""
JSON = b"application/json"
PROBLEM = b"application/problem+json"
BODILESS = frozenset({204, 304})
"""Answers without a body, so without a length: what a 304 says of one, caches would take for the file's (RFC 9110 8.6)."""
_INVALID_CLIENT = b'"error":"invalid_client"'
_MAX_REQUEST_ID = 128

SHARED_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class Disconnect(Exception):
    """The client went away."""


class Exchange:
    """A request and its one answer. How the bytes come and go is its subclasses' part.

    `extra` are headers of the answer beside the shared ones; `actor` and `name` (of the operation) are for the record; `left`
    is what the bucket holds that let the request in. `bearer` is known where the headers were read before.
    """

    __slots__ = (
        "actor",
        "bearer",
        "began",
        "cache",
        "extra",
        "headers",
        "here",
        "left",
        "method",
        "name",
        "path",
        "peer",
        "query",
        "request_id",
        "secure",
        "status",
    )

    def __init__(
        self, method: str, path: str, query: bytes, headers: dict[bytes, bytes], *, peer: str, secure: bool
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.peer = peer
        self.secure = secure
        self.extra: list[Header] = []
        self.cache = b"no-store"
        self.status = 0
        self.left: Left | None = None
        self.bearer: Bearer | None = None
        self.name = "unrouted"
        self.actor: Actor = ANONYMOUS
        self.began = time.monotonic()
        given = headers.get(b"traceparent")
        self.here = trace.start() if given is None else trace.parse(given.decode("latin-1"))
        own = headers.get(b"x-request-id")
        self.request_id = (own is not None and _request_id(own)) or self.here.trace_id

    def header(self, name: bytes) -> str:
        return self.headers.get(name, b"").decode("latin-1")

    def cookie(self, name: str) -> str:
        """The first cookie of this name, which is the most specific one (RFC 6265 5.4); "" without one.

        Pairs end at a semicolon, quoted or not, as browsers read them; an odd one says nothing about those beside it.
        """
        raw = self.headers.get(b"cookie")
        found = None if raw is None else _cookie(name).search(raw)
        return "" if found is None else found[1].strip(b" \t").decode("latin-1")

    async def body(self, max_bytes: int) -> bytes:
        """The whole body. Refused(TooLarge) as soon as that is known, before anything is parsed; Disconnect."""
        raise NotImplementedError

    async def answer(self, status: int, body: bytes, media_type: bytes | None = JSON) -> None:
        """The whole answer at once."""
        raise NotImplementedError

    def finish(self, status: int, body: bytes, media_type: bytes | None = JSON) -> None:
        """The same without a wait, where the transport has room for it."""
        raise NotImplementedError

    async def answer_nothing(self) -> None:
        await self.answer(204, b"", None)

    async def refuse(self, problem: Problem, detail: str = "") -> None:
        body = encode_problem(problem, detail=detail, instance=self.here.trace_id)
        await self.answer_problem(problem.status, body)

    async def answer_problem(self, status: int, body: bytes) -> None:
        await self.answer(status, *self.as_told(status, body))

    def as_told(self, status: int, body: bytes) -> tuple[bytes, bytes]:
        """A problem as this client reads it, and its media type. The headers that HTTP wants beside it are added to the answer's.

        A client of OAuth2 that tried HTTP Basic is told to come by that (RFC 6749 5.2).
        """
        basic = _INVALID_CLIENT in body and self.header(b"authorization")[:6].lower() == "basic "
        self.extra += _headers_of_problem(status, body, b"Basic" if basic else b"Bearer")
        if oauth.is_form(self.path, self.header(b"content-type")):
            return oauth.with_error(status, body), JSON
        return body, PROBLEM

    def all_headers(self, media_type: bytes | None, *headers: Header) -> list[Header]:
        """What an answer carries beside its length."""
        everything = [*SHARED_HEADERS, (b"cache-control", self.cache), *self.extra, *headers]
        everything.append((b"x-request-id", self.request_id.encode()))
        if media_type is not None:
            everything.append((b"content-type", media_type))
        if self.left is not None:
            everything += told(self.left)
        return everything


class AsgiExchange(Exchange):
    """An exchange over ASGI: what streams in or out, and what the pages' framework could answer too."""

    __slots__ = ("_receive", "_send")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        super().__init__(
            scope.get("method", "GET"),
            scope["raw_path"].decode("latin-1") if scope.get("raw_path") else scope["path"],
            scope["query_string"],
            dict(scope["headers"]),
            peer=client[0] if client else "",
            secure=scope.get("scheme") in ("https", "wss"),
        )
        self._receive = receive
        self._send = send

    async def chunks(self, max_bytes: int) -> AsyncIterator[bytes]:
        """The body as it arrives. Refused(TooLarge) as soon as that is known."""
        announced = self.header(b"content-length")
        if announced and (not announced.isdecimal() or int(announced) > max_bytes):
            raise Refused(TooLarge(max_bytes=max_bytes))
        size, more = 0, True
        while more:
            spent = time.monotonic() - self.began - size / BODY_BYTES_PER_S
            try:
                async with asyncio.timeout(max(0.0, min(BODY_TIMEOUT_S, 2 * BODY_TIMEOUT_S - spent))):
                    message = await self._receive()
            except TimeoutError:
                raise Refused(
                    Malformed(reason=f"the body paused for more than {BODY_TIMEOUT_S:g} s, or trickles")
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

    async def answer(self, status: int, body: bytes, media_type: bytes | None = JSON) -> None:
        length = () if status in BODILESS else ((b"content-length", b"%d" % len(body)),)
        await self.start(status, media_type, *length)
        await self.part(b"" if self.method == "HEAD" else body, more=False)

    async def start(self, status: int, media_type: bytes | None, *headers: Header) -> None:
        """Begin an answer whose body follows with `part`."""
        self.status = status
        all_headers = self.all_headers(media_type, *headers)
        await self._send({"type": "http.response.start", "status": status, "headers": all_headers})

    async def part(self, body: bytes, *, more: bool = True) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": more})


def told(left: Left) -> tuple[Header, Header]:
    """What a client should know to keep within its limit (draft-ietf-httpapi-ratelimit-headers-10)."""
    name = left.policy.partition(b";")[0]
    return (b"ratelimit-policy", left.policy), (
        b"ratelimit",
        b"%b;r=%d;t=%d" % (name, left.tokens, left.full_in_s),
    )


def _headers_of_problem(status: int, body: bytes, scheme: bytes) -> list[Header]:
    """The headers that HTTP wants beside a problem of this status. scheme: by which one is to say who one is."""
    headers = []
    if status == 401:
        headers.append((b"www-authenticate", scheme + b' realm="polis"'))
    if b'"retry_after_s"' in body or b'"allowed"' in body or b'"resets_at"' in body:
        facts = msgspec.json.decode(body, type=_Facts)
        if facts.retry_after_s is not None:
            headers.append((b"retry-after", str(max(1, round(facts.retry_after_s))).encode()))
        if facts.resets_at is not None and status == 429:
            left = facts.resets_at.timestamp() - time.time()
            headers.append((b"retry-after", str(max(1, ceil(left))).encode()))
        if facts.allowed is not None and status == 405:
            headers.append((b"allow", ", ".join(facts.allowed).encode()))
    return headers


class _Facts(msgspec.Struct):
    retry_after_s: float | None = None
    resets_at: datetime | None = None
    allowed: tuple[str, ...] | None = None


@cache
def _cookie(name: str) -> re.Pattern[bytes]:
    return re.compile(rb"(?:\A|;)[ \t]*" + re.escape(name.encode()) + rb"[ \t]*=([^;]*)")


def _request_id(given: bytes) -> str:
    """The client's own name for its request, if it can stand in a header and a log line."""
    if len(given) > _MAX_REQUEST_ID:
        return ""
    text = given.decode("latin-1")
    return text if text.isascii() and text.isprintable() else ""
