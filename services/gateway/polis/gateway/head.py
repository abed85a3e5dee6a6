"""What the head of a request may look like: everything that two servers could read in two ways is refused (RFC 9112, 9110)."""

from __future__ import annotations

import re
from typing import Final

MAX_HEADERS: Final = 100
MAX_HEADER_BYTES: Final = 32 * 1024
MAX_URL_BYTES: Final = 8 * 1024
_ONCE = frozenset(
    {
        *(b"host", b"content-length", b"transfer-encoding", b"content-type", b"authorization", b"expect"),
        *(b"x-api-key", b"x-org-id", b"x-csrf-token", b"x-request-id", b"idempotency-key", b"traceparent"),
        *(b"origin", b"if-match", b"if-none-match", b"range", b"x-forwarded-proto"),
    }
)
_JOINED = {b"cookie": b"; "}
_INTERNAL = re.compile(rb"polis-|nats-|x-(service|polis|principal|actor|user|role|scope)")
"""Names that services read, or might: from outside they say nothing."""
_DIGITS = re.compile(rb"[0-9]{1,18}")
_HOST = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=:\[\]%-]*")


class BadHead(Exception):
    """The head is refused, and the connection ends: who knows where the next request would begin."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.status = status


def checked(version: str, url: bytes, headers: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """The headers by name, without those that only services may set. BadHead."""
    if len(headers) > MAX_HEADERS or sum(map(_size, headers)) > MAX_HEADER_BYTES:
        raise BadHead("too many headers, or too long", 431)
    if len(url) > MAX_URL_BYTES:
        raise BadHead(f"the URL is longer than {MAX_URL_BYTES} bytes", 414)
    if version not in ("1.1", "1.0"):
        raise BadHead("only HTTP/1.1 is spoken here", 505)
    if not url.startswith(b"/") or b"#" in url:
        raise BadHead("the request target must be a path")
    found: dict[bytes, bytes] = dict(headers)
    if len(found) < len(headers):
        found = _folded(headers)
    if version == "1.1" and b"host" not in found:
        raise BadHead("Host is missing")
    if not _HOST.fullmatch(found.get(b"host", b"")):
        raise BadHead("Host is no host")
    _check_framing(version, found)
    return {n: v for n, v in found.items() if not _INTERNAL.match(n)} if _any_internal(found) else found


def _any_internal(headers: dict[bytes, bytes]) -> bool:
    return any(map(_INTERNAL.match, headers))


def _size(header: tuple[bytes, bytes]) -> int:
    return len(header[0]) + len(header[1])


def _folded(headers: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """One value a name, as RFC 9110 5.3 joins them; what may stand once only may not stand twice."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name not in found:
            found[name] = value
        elif name in _ONCE:
            raise BadHead(f"{name.decode('latin-1')} stands twice")
        else:
            found[name] = found[name] + _JOINED.get(name, b", ") + value
    return found


def _check_framing(version: str, headers: dict[bytes, bytes]) -> None:
    """Where the body ends must be said once and in one way (RFC 9112 6.3)."""
    length, coding = headers.get(b"content-length"), headers.get(b"transfer-encoding")
    if coding is not None:
        if length is not None:
            raise BadHead("Content-Length and Transfer-Encoding exclude each other")
        if coding.lower() != b"chunked" or version == "1.0":
            raise BadHead("the only transfer coding here is chunked")
    elif length is not None and not _DIGITS.fullmatch(length):
        raise BadHead("Content-Length is no number")
