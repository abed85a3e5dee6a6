"""Who a request is by: a token as it came, or one that an API key is traded for at identity and kept until it expires."""

from __future__ import annotations

import asyncio
import hashlib
import time
from typing import TYPE_CHECKING

from polis.proto import Refused
from polis.proto.identity import SignInKey, WrongCredentials
from polis.proto.problems import Invalid, Unauthenticated
from polis.service.passing import Passing

if TYPE_CHECKING:
    from polis.gateway.credentials import Credentials
    from polis.gateway.http import Exchange
    from polis.service import Actor, Kernel

KEY_PREFIX = "pk_"
_KEPT = 10_000
_BEARER = b"Bearer "


class Actors:
    """Reads credentials out of requests and verifies them."""

    def __init__(self, kernel: Kernel, credentials: Credentials) -> None:
        self._kernel = kernel
        self._credentials = credentials
        self._traded: Passing[bytes, tuple[str, float]] = Passing(
            lambda kept, now: kept[1] <= now, most=_KEPT
        )
        self._trading: dict[bytes, asyncio.Future[str]] = {}

    def known(self, exchange: Exchange) -> Actor | None:
        """The actor of a token or key that was verified before and still holds; None: ask `actor`."""
        headers = exchange.headers
        given = headers.get(b"authorization", b"")
        if given[:7] != _BEARER or b"x-api-key" in headers:
            return None
        token = given[7:].decode("latin-1")
        if token.startswith(KEY_PREFIX):
            kept = self._traded.get(_digest(token))
            if kept is None or kept[1] <= time.monotonic():
                return None
            token = kept[0]
        return self._kernel.keys.known(token, exchange.header(b"x-org-id") or None)

    async def actor(self, exchange: Exchange) -> Actor:
        """The verified actor; ANONYMOUS without credentials. Refused(Unauthenticated | Forbidden)."""
        return await self.of(self._credentials.token(exchange), exchange.header(b"x-org-id") or None)

    async def of(self, token: str, org: str | None) -> Actor:
        """The same for a token or key that was read before."""
        if not token.startswith(KEY_PREFIX):
            return await self._kernel.keys.actor(token, org)
        traded = await self._trade(token)
        try:
            return await self._kernel.keys.actor(traded, org)
        except Refused as refusal:
            if not isinstance(refusal.problem, Unauthenticated):
                raise
        # What was kept has ended early: the key is revoked, or its owner may do less from now on. Identity knows.
        self._traded.pop(_digest(token), None)
        return await self._kernel.keys.actor(await self._trade(token), org)

    async def _trade(self, key: str) -> str:
        """The access token of a key; those who come with the same key at once wait for one answer."""
        digest = _digest(key)
        token, until = self._traded.get(digest, ("", 0.0))
        if until > time.monotonic():
            return token
        waiting = self._trading.get(digest)
        if waiting is None:
            waiting = self._trading[digest] = asyncio.ensure_future(self._sign_in(key, digest))
            waiting.add_done_callback(lambda _: self._trading.pop(digest, None))
        return await asyncio.shield(waiting)

    async def _sign_in(self, key: str, digest: bytes) -> str:
        began = time.monotonic()
        try:
            answer = await self._kernel.caller.call(SignInKey(key=key))
        except Refused as refusal:
            if isinstance(refusal.problem, (WrongCredentials, Invalid)):
                raise Refused(Unauthenticated(), "the API key is unknown, revoked or expired") from None
            raise
        self._traded.keep(digest, (answer.access_token, began + answer.expires_in_s), time.monotonic())
        return answer.access_token


def _digest(key: str) -> bytes:
    """Under what a key is kept: the key itself is in no table."""
    return hashlib.sha256(key.encode()).digest()
