"""Who a request is by: a token as it came, or one that is traded for at identity and kept until it expires.

An API key is, anywhere; and where clients of OAuth2 come with HTTP Basic (RFC 7662 2.1), their credentials are.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from typing import TYPE_CHECKING

from polis.gateway import oauth
from polis.gateway.credentials import bearer_of, client_of, is_key
from polis.proto import Refused
from polis.proto.identity import InvalidClient, SignInClient, SignInKey, WrongCredentials
from polis.proto.problems import Invalid, Unauthenticated
from polis.service.passing import Passing

if TYPE_CHECKING:
    from polis.gateway.credentials import Credentials
    from polis.gateway.http import Exchange
    from polis.service import Actor, Kernel

_KEPT = 10_000


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
        bearer = exchange.bearer or bearer_of(exchange.headers)
        if bearer is None:
            return None
        token, org = bearer
        if is_key(token):
            kept = self._traded.get(_digest(token))
            if kept is None or kept[1] <= time.monotonic():
                return None
            token = kept[0]
        return self._kernel.keys.known(token, org)

    async def actor(self, exchange: Exchange) -> Actor:
        """The verified actor; ANONYMOUS without credentials. Refused(Unauthenticated | InvalidClient | Forbidden)."""
        org = exchange.header(b"x-org-id") or None
        if oauth.has_path(exchange.path) and (client := client_of(exchange)):
            return await self._of_traded(SignInClient(**client), org)
        return await self.of(self._credentials.token(exchange), org)

    async def of(self, token: str, org: str | None) -> Actor:
        """The same for a token or key that was read before."""
        if not is_key(token):
            return await self._kernel.keys.actor(token, org)
        return await self._of_traded(SignInKey(key=token), org)

    async def _of_traded(self, credentials: SignInKey | SignInClient, org: str | None) -> Actor:
        digest = _digest_of(credentials)
        traded = await self._trade(credentials, digest)
        try:
            return await self._kernel.keys.actor(traded, org)
        except Refused as refusal:
            if not isinstance(refusal.problem, Unauthenticated):
                raise
        # What was kept has ended early: the key is revoked, or its owner may do less from now on. Identity knows.
        self._traded.pop(digest, None)
        return await self._kernel.keys.actor(await self._trade(credentials, digest), org)

    async def _trade(self, credentials: SignInKey | SignInClient, digest: bytes) -> str:
        """The access token for credentials; those who come with the same at once wait for one answer."""
        token, until = self._traded.get(digest, ("", 0.0))
        if until > time.monotonic():
            return token
        waiting = self._trading.get(digest)
        if waiting is None:
            waiting = self._trading[digest] = asyncio.ensure_future(self._sign_in(credentials, digest))
            waiting.add_done_callback(lambda _: self._trading.pop(digest, None))
        return await asyncio.shield(waiting)

    async def _sign_in(self, credentials: SignInKey | SignInClient, digest: bytes) -> str:
        began = time.monotonic()
        try:
            answer = await self._kernel.caller.call(credentials)
        except Refused as refusal:
            if isinstance(refusal.problem, (WrongCredentials, Invalid)):
                if isinstance(credentials, SignInClient):
                    raise Refused(InvalidClient()) from None
                raise Refused(Unauthenticated(), "the API key is unknown, revoked or expired") from None
            raise
        self._traded.keep(digest, (answer.access_token, began + answer.expires_in_s), time.monotonic())
        return answer.access_token


def _digest_of(credentials: SignInKey | SignInClient) -> bytes:
    if isinstance(credentials, SignInKey):
        return _digest(credentials.key)
    return _digest(f"{credentials.client_id}\0{credentials.client_secret}")


def _digest(key: str) -> bytes:
    """Under what a key is kept: the key itself is in no table."""
    return hashlib.sha256(key.encode()).digest()
