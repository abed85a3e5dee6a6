"""The operation's request in an exchange: out of path, query, headers and body."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from polis.gateway import finish, oauth
from polis.gateway.credentials import client_of
from polis.gateway.decode import to_payload, to_request
from polis.proto import Operation, Refused
from polis.proto.contract import fields_of
from polis.proto.problems import Fault, Invalid, Malformed, UnsupportedMedia

if TYPE_CHECKING:
    from polis.gateway.direct import Direct
    from polis.gateway.http import Exchange


async def read(exchange: Exchange, operation: Operation, path: dict[str, str]) -> object:
    """The operation's request out of an exchange, with its body bounded before it is parsed."""
    body = b""
    if operation.verb not in ("GET", "DELETE"):
        body = await exchange.body(operation.max_body)
        _demand_uncoded(exchange)
    try:
        return to_request(operation, path, exchange.query, body, exchange.header(b"content-type"))
    except Refused as refused:
        raise oauth.refusal(operation, refused) from None


def payload_of(exchange: Direct, operation: Operation) -> bytes:
    """The same as it travels, where the body is there already."""
    if exchange.fault is not None:
        raise exchange.fault
    body = b""
    if operation.verb not in ("GET", "DELETE"):
        body = exchange.content()
        _demand_uncoded(exchange)
    media_type = exchange.header(b"content-type")
    values = exchange.values
    if said := said_in_headers(exchange, operation):
        values = values | said
    try:
        return to_payload(operation, values, exchange.query, body, media_type)
    except Refused as refused:
        raise oauth.refusal(operation, refused) from None


def _demand_uncoded(exchange: Exchange) -> None:
    """Refused(UnsupportedMedia) for a body that was compressed: it is taken as it is (RFC 9110 12.5.3)."""
    if b"content-encoding" in exchange.headers and exchange.header(b"content-encoding").lower() != "identity":
        exchange.extra.append((b"accept-encoding", b"identity"))
        raise Refused(
            UnsupportedMedia(accepted="application/json"), "a body is taken without a Content-Encoding"
        )


_NOTHING: dict[str, str] = {}


def said_in_headers(exchange: Exchange, operation: Operation) -> dict[str, str]:
    """Fields of the request that HTTP has headers for: a revision, an environment, a client's credentials."""
    said = _precondition(exchange, operation) if b"if-match" in exchange.headers else _NOTHING
    if b"x-env" in exchange.headers and operation.takes_environment:
        return said | _environment(exchange)
    if said:
        return said
    if operation.of_oauth and "client_secret" in fields_of(operation.request):
        return client_of(exchange)
    return _NOTHING


def _environment(exchange: Exchange) -> dict[str, str]:
    """The environment that `X-Env` names, where the query names none: what is said twice is refused there, as in a body."""
    if "environment" in parse_qs(exchange.query.decode("latin-1"), keep_blank_values=True):
        raise Refused(Invalid(faults=(Fault("/environment", "stands outside the query already"),)))
    return {"environment": exchange.header(b"x-env")}


def _precondition(exchange: Exchange, operation: Operation) -> dict[str, str]:
    """The revision that `If-Match` demands, as the field by which the service checks it.

    Where nothing has a revision it is refused: nobody may do what somebody demanded a condition for that was not looked at
    (RFC 9110 13.1.1). Not with 412, which would have the client read again and come back.
    """
    asked = exchange.header(b"if-match").strip()
    if asked == "*":
        return _NOTHING
    if not operation.takes_revision:
        raise Refused(Malformed(reason="If-Match: what this is about has no revision to compare"))
    revision = finish.revision_of(asked)
    if revision is None:
        raise Refused(Malformed(reason="If-Match names no revision"))
    return {"revision": str(revision)}
