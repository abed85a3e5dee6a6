"""What is done with a service's answer on its way out: validators (RFC 9110 13), and compression where nothing is secret."""

from __future__ import annotations

import gzip
import re
from functools import cache
from hashlib import blake2b
from typing import TYPE_CHECKING

from polis.gateway.http import JSON
from polis.proto.catalog import RevisionConflict
from polis.proto.problems import PreconditionFailed
from polis.service import call
from polis.service.dispatch import REPLAYED
from polis.service.wire import decode_problem, encode_problem

if TYPE_CHECKING:
    from polis.bus import Message
    from polis.gateway.http import Exchange
    from polis.proto import Operation

_REPLAYED = (REPLAYED.lower().encode(), b"true")
COMPRESSED_FROM_BYTES = 2_048
COMPRESSED_INLINE_BYTES = 64 * 1024
"""Larger answers are compressed beside the event loop."""
_LEVEL = 4
_KEEPS_SECRETS = frozenset({"identity"})
"""Whose answers are neither stored nor compressed: what an attacker adds to a page must not measure what else is in it."""
_REVISION = re.compile(rb'"revision":([0-9]{1,18})[,}]')
VARY = (b"vary", b"authorization, cookie, origin, x-api-key, x-org-id, x-env, accept-encoding")
STORED = b"private, no-cache"
"""What a client may keep, no cache that others share may, and nobody uses without asking again."""
_CODED = ".gzip"
"""Ends the validator of a compressed answer."""
_ENTITY = re.compile(r'(?:W/)?"([^"]*)"')


Outcome = tuple[int, bytes, bytes | None, bool]
"""Status, body, media type, and whether the body is worth compressing: a plain tuple, for there is one of every request."""


def outcome(exchange: Exchange, operation: Operation, reply: Message) -> Outcome:
    """What a service's reply comes to on HTTP, with the headers that it needs."""
    if reply.head:
        code = reply.headers.get(call.ERROR_CODE)
        if code is not None:
            status, body = refused(exchange, operation, int(code), reply.payload)
            return status, *exchange.as_told(status, body), False
        if REPLAYED in reply.headers:
            exchange.extra.append(_REPLAYED)
    if operation.answer is None:
        return 204, b"", None, False
    if not storable(exchange, operation):
        return 200, reply.payload, JSON, False
    if validated(exchange, operation, reply.payload):
        return 304, b"", None, False
    return 200, reply.payload, JSON, compressible(exchange, reply.payload)


def storable(exchange: Exchange, operation: Operation) -> bool:
    """Whether a client may keep the answer and ask later whether it still holds."""
    return exchange.method in ("GET", "HEAD") and operation.service not in _KEEPS_SECRETS


def validated(exchange: Exchange, operation: Operation, body: bytes) -> bool:
    """Give the answer its validator; true when it is the one that the client has."""
    digest = blake2b(body, digest_size=12).hexdigest()
    found = _REVISION.search(body) if _has_revision(operation) else None
    tag = digest if found is None else f"{int(found[1])}-{digest}"
    exchange.cache = STORED
    held = holds(exchange.header(b"if-none-match"), tag, coded(tag))
    exchange.extra += ((b"etag", f'"{held or tag}"'.encode()), VARY)
    return held is not None


def holds(asked: str, *tags: str) -> str | None:
    """Which of the present validators the client has by its `If-None-Match` (RFC 9110 13.1.2), the first for any; None: none."""
    if not asked:
        return None
    if asked.strip() == "*":
        return tags[0]
    return next((name for name in _ENTITY.findall(asked) if name in tags), None)


def compressible(exchange: Exchange, body: bytes) -> bool:
    return len(body) >= COMPRESSED_FROM_BYTES and accepts_gzip(exchange.header(b"accept-encoding"))


def compressed(exchange: Exchange, body: bytes) -> bytes:
    """The body in other bytes, so under another validator (RFC 9110 8.8.3.3)."""
    exchange.extra = [
        (n, f'"{coded(v.decode()[1:-1])}"'.encode() if n == b"etag" else v) for n, v in exchange.extra
    ]
    exchange.extra.append((b"content-encoding", b"gzip"))
    return gzip.compress(body, _LEVEL, mtime=0)


def coded(tag: str) -> str:
    """The validator of the same in gzip."""
    return tag + _CODED


def accepts_gzip(accepted: str) -> bool:
    """Whether an `Accept-Encoding` names gzip, and not with a weight of nothing."""
    for part in accepted.lower().split(","):
        coding, _, weight = part.partition(";")
        if coding.strip() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def revision_of(header: str) -> int | None:
    """The revision that `If-Match` names: our own validators begin with it, a bare number is one."""
    found = _ENTITY.fullmatch(header.strip())
    text = (found[1] if found else header.strip()).partition("-")[0]
    return int(text) if text.isdecimal() and len(text) < 19 else None


@cache
def _has_revision(operation: Operation) -> bool:
    return "revision" in getattr(operation.answer, "__struct_fields__", ())


def precondition(exchange: Exchange, operation: Operation) -> str:
    """What `If-Match` demands of a revision; "" where it demands none, or nothing here has one."""
    asked = exchange.header(b"if-match").strip()
    return asked if asked != "*" and operation.takes_revision else ""


def refused(exchange: Exchange, operation: Operation, status: int, body: bytes) -> tuple[int, bytes]:
    """A service's refusal as HTTP has it: a revision that `If-Match` named and that is stale is 412 (RFC 9110 13.1.1)."""
    if status != RevisionConflict.status or not precondition(exchange, operation):
        return status, body
    problem, detail = decode_problem(body)
    if not isinstance(problem, RevisionConflict):
        return status, body
    failed = PreconditionFailed(problem.expected, problem.actual)
    return failed.status, encode_problem(failed, detail=detail, instance=exchange.here.trace_id)
