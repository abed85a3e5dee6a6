"""Header sections that were read before: a client says the same of itself with each request, and need not be parsed again.

A section is known by its very bytes, once the parser has read it and it was checked. Only what any reader takes in one way
is kept (RFC 9112 2.2, 5 and 6): lines that end in CRLF, none of them folded, a body whose length is said. All else is the
parser's, each time.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from polis.gateway.credentials import bearer_of, is_key

if TYPE_CHECKING:
    from polis.gateway.credentials import Bearer
    from polis.gateway.direct import Direct

_MOST: Final = 1_024
"""Sections that are kept; beyond it all are forgotten and read anew, which costs some ten microseconds each."""
_MAX_BYTES: Final = 2_048
"""Of a section, and of the line before it."""
_TARGET = rb"(/api/[\w.~!$&'()*+,;=:@%/-]*)(?:\?([\w.~!$&'()*+,;=:@%/?-]*))?"
_LINE = re.compile(rb"(GET|HEAD|POST|PUT|PATCH|DELETE) " + _TARGET + rb" HTTP/1\.1", re.ASCII)
_LINES = re.compile(rb"(?:\r\n[\w!#$%&'*+.^`|~-]+:[ \t]*[!-~](?:[ -~\t]*[!-~])?[ \t]*)*", re.ASCII)
_NOT_ALIKE = frozenset(
    {
        *(b"expect", b"transfer-encoding", b"upgrade"),
        *(b"cookie", b"x-api-key", b"x-csrf-token"),
        *(b"idempotency-key", b"traceparent", b"x-request-id"),
    }
)
"""What changes how a request is read; secrets that no table holds; what hardly comes twice."""


class Section(Struct, frozen=True):
    """Headers as they were checked, the bytes of the body that they announce, and by what their sender is known."""

    headers: dict[bytes, bytes]
    announced: int
    bearer: Bearer | None


Read = tuple[str, str, bytes, Section, bytes]
"""Method, path, query, header section and body."""


class Sections:
    """What one process has read."""

    def __init__(self) -> None:
        self._known: dict[bytes, Section] = {}

    def read(self, data: bytes) -> Read | None:
        """The operation's request that this is, from its first byte to its last, where its headers are known."""
        at = data.find(b"\r\n")
        end = data.find(b"\r\n\r\n", at)
        section = self._known.get(data[at:end]) if end > 0 else None
        if section is None or len(data) != end + 4 + section.announced or at > _MAX_BYTES:
            return None
        line = _LINE.fullmatch(data, 0, at)
        if line is None:
            return None
        method, path, query = line.groups(b"")
        return method.decode("ascii"), path.decode("ascii"), query, section, data[end + 4 :]

    def learn(self, data: bytes, exchange: Direct) -> None:
        """Keep the headers of a request that came as `data`, if they are of the kind that comes again."""
        if not exchange.keep_alive or not exchange.headers.keys().isdisjoint(_NOT_ALIKE):
            return
        at = data.find(b"\r\n")
        end = data.find(b"\r\n\r\n", at)
        said = data[at:end]
        announced = exchange.announced
        if end < 0 or announced is None or len(data) != end + 4 + announced or len(said) > _MAX_BYTES:
            return
        bearer = bearer_of(exchange.headers)
        if is_key(bearer.credential) if bearer else b"authorization" in exchange.headers:
            return  # secrets, too
        if _LINE.fullmatch(data, 0, at) and _LINES.fullmatch(said):
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[said] = Section(exchange.headers, announced, bearer)
