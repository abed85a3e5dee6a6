"""What the head of a request may look like: everything that two servers could read in two ways is refused (RFC 9112, 9110)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

MAX_HEADERS: Final = 100
MAX_HEADER_BYTES: Final = 32 * 1024
MAX_URL_BYTES: Final = 8 * 1024
_ONCE = frozenset(
    {
        *(b"host", b"content-length", b"transfer-encoding", b"content-type", b"authorization", b"expect"),
        *(
            b"x-api-key",
            b"x-org-id",
            b"x-env",
            b"x-csrf-token",
            b"x-request-id",
            b"idempotency-key",
            b"traceparent",
        ),
        *(b"origin", b"if-match", b"if-none-match", b"range", b"x-forwarded-proto"),
    }
)
_JOINED = {b"cookie": b"; "}
_INTERNAL = re.compile(rb"polis-|nats-|x-(service|polis|principal|actor|user|role|scope)")
"""Names that services read, or might: from outside they say nothing."""
_ORDINARY = _ONCE | {
    *(b"accept", b"accept-encoding", b"accept-language", b"cache-control", b"connection", b"cookie"),
    *(b"keep-alive", b"pragma", b"referer", b"sec-fetch-dest", b"sec-fetch-mode", b"sec-fetch-site"),
    *(b"user-agent", b"x-forwarded-for"),
}
"""Where a head holds no other name, none has to be looked at."""
_DIGITS = re.compile(rb"[0-9]{1,18}")
_HOST = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=:\[\]%-]*")


class BadHead(Exception):
    """The head is refused, and the connection ends: who knows where the next request would begin."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.status = status


def add_header(found: dict[bytes, bytes], name: bytes, value: bytes) -> None:
    """One value a name, as RFC 9110 5.3 joins them; what may stand once only may not stand twice."""
    name = name.lower()
    if name not in found:
        found[name] = value
    elif name in _ONCE:
        raise BadHead(f"{name.decode('latin-1')} stands twice")
    else:
        found[name] += _JOINED.get(name, b", ") + value
    if len(found) > MAX_HEADERS:
        raise BadHead(f"there are more than {MAX_HEADERS} headers", 431)


def check(version: str, url: bytes, found: dict[bytes, bytes], size: int) -> dict[bytes, bytes]:
    """The headers without those that only services may set. BadHead. size: what the head measures at the most."""
    if size > MAX_HEADER_BYTES and sum(map(len, found)) + sum(map(len, found.values())) > MAX_HEADER_BYTES:
        raise BadHead(f"the headers are longer than {MAX_HEADER_BYTES} bytes", 431)
    if len(url) > MAX_URL_BYTES:
        raise BadHead(f"the URL is longer than {MAX_URL_BYTES} bytes", 414)
    if version not in ("1.1", "1.0"):
        raise BadHead("only HTTP/1.1 is spoken here", 505)
    if not url.startswith(b"/") or b"#" in url:
        raise BadHead("the request target must be a path")
    host = found.get(b"host")
    if host is None:
        if version == "1.1":
            raise BadHead("Host is missing")
    elif not _is_host(host):
        raise BadHead("Host is no host")
    _check_framing(version, found)
    if found.keys() <= _ORDINARY:
        return found
    return {name: value for name, value in found.items() if not _INTERNAL.match(name)}


@lru_cache(maxsize=64)
def _is_host(value: bytes) -> bool:
    return _HOST.fullmatch(value) is not None


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
