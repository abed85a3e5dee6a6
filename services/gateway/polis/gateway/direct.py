"""One exchange on a connection, without ASGI: the body is collected within its bound, the answer leaves in one write."""

from __future__ import annotations

import asyncio
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

import msgspec

from polis.gateway.http import BODILESS, JSON, SHARED_HEADERS, Disconnect, Exchange
from polis.proto import Refused
from polis.proto.problems import TooLarge

if TYPE_CHECKING:
    from polis.gateway.buckets import Left
    from polis.gateway.http import Header
    from polis.proto import Operation


class Wire(Protocol):
    """The connection as an exchange sees it."""

    def invite(self, exchange: Direct) -> None:
        """The body is wanted."""

    def keeps(self, exchange: Direct) -> bool:
        """Whether the connection stays open behind the answer."""

    def send(self, exchange: Direct, data: bytes) -> None:
        """Write the whole answer; the exchange is over."""


class Direct(Exchange):
    """`operation` and `values` (of its path) are set by routing, `quick` when it was admitted without a wait.

    `announced`: bytes that the body has; None where that shows at its end (RFC 9112 6.3).
    """

    __slots__ = (
        "_parts",
        "_size",
        "_waiter",
        "announced",
        "complete",
        "fault",
        "keep_alive",
        "operation",
        "quick",
        "values",
        "wire",
    )

    def __init__(
        self,
        wire: Wire,
        method: str,
        path: str,
        query: bytes,
        headers: dict[bytes, bytes],
        *,
        peer: str,
        secure: bool,
        keep_alive: bool,
    ) -> None:
        super().__init__(method, path, query, headers, peer=peer, secure=secure)
        self.wire = wire
        self.keep_alive = keep_alive
        self.operation: Operation | None = None
        self.values: dict[str, str] = {}
        self.quick = False
        self.complete = False
        self.fault: Refused | Disconnect | None = None
        length = headers.get(b"content-length")
        chunked = length is None and b"transfer-encoding" in headers
        self.announced = None if chunked else int(length or 0)
        self._parts: list[bytes] = []
        self._size = 0
        self._waiter: asyncio.Future[None] | None = None

    # The body, as the connection hands it over

    @property
    def bound(self) -> int:
        """What the body may measure: nothing, where nothing takes one."""
        operation = self.operation
        return 0 if operation is None or operation.verb in ("GET", "DELETE") else operation.max_body

    def feed(self, part: bytes) -> None:
        self._size += len(part)
        if self.status or self.fault:
            return
        if self._size <= self.bound:
            self._parts.append(part)
        elif self.operation is not None and self.operation.verb not in ("GET", "DELETE"):
            self.fail(Refused(TooLarge(max_bytes=self.bound)))

    def done(self) -> None:
        """The body is complete."""
        self.complete = True
        self._wake()

    def fail(self, fault: Refused | Disconnect) -> None:
        """The body will not come as it should."""
        self.fault = fault
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def content(self) -> bytes:
        """The complete body."""
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)

    async def body(self, max_bytes: int) -> bytes:
        if self.announced is not None and self.announced > max_bytes:
            raise Refused(TooLarge(max_bytes=max_bytes))
        if not self.complete and self.fault is None:
            self.wire.invite(self)
        while not self.complete and self.fault is None:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if self.fault is not None:
            raise self.fault
        return self.content()

    # The answer

    async def answer(self, status: int, body: bytes, media_type: bytes | None = JSON) -> None:
        self.finish(status, body, media_type)

    def finish(self, status: int, body: bytes, media_type: bytes | None = JSON) -> None:
        """The whole answer at once, without a wait."""
        self.status = status
        self.keep_alive = keep = self.wire.keeps(self)
        left, extra = self.left, self.extra
        head = b"%b%bx-request-id: %b\r\n" % (
            head_of(status, media_type, self.cache),
            _told(left) if left is not None else b"",
            self.request_id.encode(),
        )
        if extra:
            head += _lines(extra)
        if not keep:
            head += b"connection: close\r\n"
        if status in BODILESS:
            self.wire.send(self, head + b"\r\n")
        elif self.method == "HEAD":
            self.wire.send(self, b"%bcontent-length: %d\r\n\r\n" % (head, len(body)))
        else:
            self.wire.send(self, b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body))


def _lines(headers: list[Header]) -> bytes:
    text = b"".join([b"%b: %b\r\n" % header for header in headers])
    if text.count(b"\n") != len(headers) or text.count(b"\r") != len(headers):
        raise ValueError("a header holds a line break")
    return text


def _told(left: Left) -> bytes:
    return b"%b;r=%d;t=%d\r\n" % (_limit_of(left.policy), left.tokens, left.full_in_s)


@lru_cache(maxsize=256)
def _limit_of(policy: bytes) -> bytes:
    name = policy.partition(b";")[0]
    return b"ratelimit-policy: %b\r\nratelimit: %b" % (policy, name)


def blank_problem(status: int, detail: str) -> bytes:
    """What HTTP itself refuses (RFC 9457 4.2.1)."""
    told = {"type": "about:blank", "title": _phrase(status).decode(), "status": status, "detail": detail}
    return msgspec.json.encode(told)


@lru_cache(maxsize=256)
def head_of(status: int, media_type: bytes | None, cache: bytes = b"no-store") -> bytes:
    """Status line and the headers that every answer of this kind has."""
    lines = [b"HTTP/1.1 %d %s" % (status, _phrase(status))]
    lines += [b"%s: %s" % header for header in SHARED_HEADERS]
    lines.append(b"cache-control: " + cache)
    if media_type is not None:
        lines.append(b"content-type: " + media_type)
    return b"\r\n".join(lines) + b"\r\n"


def _phrase(status: int) -> bytes:
    try:
        return HTTPStatus(status).phrase.encode()
    except ValueError:
        return b"Unknown"
