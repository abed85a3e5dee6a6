"""Which pages of other origins may read answers (Fetch, CORS protocol): patterns from the settings, with tokens and never with cookies."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from polis.service.config import BadSettings

if TYPE_CHECKING:
    from polis.gateway.http import Exchange, Header

_MAX_AGE_S = 600
_METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE"
_HEADERS = (
    b"authorization, content-type, idempotency-key, if-match, if-none-match, last-event-id, range, traceparent, "
    b"x-api-key, x-env, x-org-id, x-request-id"
)
_EXPOSED = (
    b"content-disposition, content-range, etag, idempotency-replayed, location, ratelimit, ratelimit-policy, retry-after, "
    b"www-authenticate, x-request-id"
)
_PATTERN = re.compile(r"https?://(?:\*\.)?[a-z0-9.-]+(?::(?:[0-9]+|\*))?")


class Cors:
    """Patterns separated by commas: `https://app.example.org`, `https://*.example.org`, `http://localhost:*`."""

    def __init__(self, patterns: str) -> None:
        given = [pattern.strip().lower() for pattern in patterns.split(",") if pattern.strip()]
        for pattern in given:
            if not _PATTERN.fullmatch(pattern):
                raise BadSettings(f"POLIS_CORS_ORIGINS: {pattern!r} is no origin")
        self._allowed = [re.compile(_expression(pattern)) for pattern in given]

    def allows(self, origin: str) -> bool:
        return any(allowed.fullmatch(origin) for allowed in self._allowed)

    def headers(self, exchange: Exchange) -> list[Header]:
        """What an answer tells a page of another origin; nothing, when it may not read it."""
        origin = exchange.header(b"origin")
        if not self._allowed or not origin:
            return []
        varied = [(b"vary", b"origin")]
        if not self.allows(origin):
            return varied
        return [
            *varied,
            (b"access-control-allow-origin", origin.encode("latin-1")),
            (b"access-control-expose-headers", _EXPOSED),
        ]

    def preflight(self, exchange: Exchange) -> list[Header] | None:
        """The answer to a page that asks whether it may send a request; None when this is no such question."""
        if exchange.method != "OPTIONS" or not exchange.headers.get(b"access-control-request-method"):
            return None
        if not self.allows(exchange.header(b"origin")):
            return [(b"vary", b"origin")]
        return [
            *self.headers(exchange),
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", _HEADERS),
            (b"access-control-max-age", b"%d" % _MAX_AGE_S),
        ]


def _expression(pattern: str) -> str:
    """`*.` stands for one label or more, `:*` for any port; every other character for itself."""
    escaped = re.escape(pattern)
    return escaped.replace(r"://\*\.", r"://(?:[a-z0-9-]+\.)+").replace(r":\*", r"(?::[0-9]{1,5})?")
