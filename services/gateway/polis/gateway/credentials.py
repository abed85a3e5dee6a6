"""Where a request's token comes from: the Authorization header, or the browser's cookie with its CSRF token."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote_plus, urlsplit

from polis.gateway.cookies import ACCESS
from polis.proto import Refused
from polis.proto.identity import InvalidClient
from polis.proto.problems import Forbidden, Unauthenticated

if TYPE_CHECKING:
    from polis.gateway.cookies import Cookies
    from polis.gateway.http import Exchange

_KEY_PREFIX = "pk_"
_BEARER = b"Bearer "
CSRF_HEADER = b"x-csrf-token"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Bearer(NamedTuple):
    """By what somebody is known: a token or an API key, and the org that is chosen among its orgs."""

    credential: str
    org: str | None


def bearer_of(headers: dict[bytes, bytes]) -> Bearer | None:
    """Who asks, as most requests say it; None: `Credentials.token` looks closer."""
    given = headers.get(b"authorization", b"")
    if given[:7] != _BEARER or b"x-api-key" in headers:
        return None
    org = headers.get(b"x-org-id")
    return Bearer(given[7:].decode("latin-1"), org.decode("latin-1") if org else None)


def is_key(token: str) -> bool:
    """Whether it is an API key, which is traded for a token."""
    return token.startswith(_KEY_PREFIX)


def client_of(exchange: Exchange) -> dict[str, str]:
    """A client's id and secret by HTTP Basic (RFC 6749 2.3.1); nothing, where they stand in the form."""
    scheme, _, given = exchange.header(b"authorization").partition(" ")
    if scheme.lower() != "basic":
        return {}
    try:
        name, colon, secret = base64.b64decode(given.strip(), validate=True).decode("ascii").partition(":")
    except ValueError:
        raise Refused(InvalidClient(), "this is no HTTP Basic") from None
    if not colon:
        raise Refused(InvalidClient(), "this is no HTTP Basic")
    return {"client_id": unquote_plus(name), "client_secret": unquote_plus(secret)}


class Credentials:
    """Reads tokens out of requests, and guards the ones that browsers send by themselves."""

    def __init__(self, secret: str, origins: str, cookies: Cookies) -> None:
        self._cookies = cookies
        self._key = hashlib.sha256(b"polis csrf\0" + secret.encode()).digest()
        self._origins = frozenset(o.strip() for o in origins.split(",") if o.strip())

    def token(self, exchange: Exchange) -> str:
        """The access token or API key, or "" for an anonymous request.

        Refused(Unauthenticated) for another authorization scheme; Refused(Forbidden) for a changing request that came
        with a cookie and without its CSRF token or from a foreign origin.
        """
        given, key = exchange.header(b"authorization"), exchange.header(b"x-api-key")
        if key:
            if given or not is_key(key):
                raise Refused(Unauthenticated(), "X-API-Key holds an API key (pk_...) and stands alone")
            return key
        if given:
            scheme, _, token = given.partition(" ")
            if scheme.lower() != "bearer" or not token:
                raise Refused(Unauthenticated(), "use 'Authorization: Bearer <token>'")
            return token.strip()
        token = self._cookies.read(exchange, ACCESS)
        if token and exchange.method not in _SAFE:
            self.demand_same_origin(exchange)
            if not hmac.compare_digest(exchange.headers.get(CSRF_HEADER, b""), self.csrf(token).encode()):
                raise Refused(Forbidden(scope="csrf"), "X-CSRF-Token does not belong to this session")
        return token

    def csrf(self, access_token: str) -> str:
        """The CSRF token that belongs to an access token: the page cannot make it, the cookie does not carry it."""
        return hmac.new(self._key, access_token.encode(), "sha256").hexdigest()

    def demand_same_origin(self, exchange: Exchange) -> None:
        """Refuse a request that a browser sent from a page of another origin."""
        origin = exchange.header(b"origin")
        if origin and not self._allowed(origin, exchange.header(b"host")):
            raise Refused(Forbidden(scope="origin"), f"requests with cookies are not taken from {origin}")
        if exchange.header(b"sec-fetch-site") == "cross-site" and not origin:
            raise Refused(Forbidden(scope="origin"), "requests with cookies are not taken from other sites")

    def _allowed(self, origin: str, host: str) -> bool:
        return origin in self._origins or urlsplit(origin).netloc == host
