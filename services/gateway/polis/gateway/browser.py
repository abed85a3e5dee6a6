"""Browser sessions: identity's tokens in httpOnly cookies, so that no script ever holds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from polis.gateway.cookies import ACCESS, REFRESH, Cookies
from polis.gateway.incoming import read
from polis.proto import Operation, Refused
from polis.proto.gateway import (
    BrowserSession,
    ConfirmBrowserSession,
    OpenBrowserSession,
    ProveBrowserSession,
)
from polis.proto.identity import (
    ConfirmIdentity,
    GetMe,
    Refresh,
    RefreshRefused,
    Session,
    SignIn,
    SignInSecondFactor,
    SignOut,
)
from polis.service import call

if TYPE_CHECKING:
    from collections.abc import Mapping

    from polis.gateway.credentials import Credentials
    from polis.gateway.http import Exchange
    from polis.gateway.proxies import Proxies
    from polis.service import Actor, Caller

_REFRESH_S = 7 * 24 * 3600


class Browser:
    """Answers the session operations of pages."""

    def __init__(self, caller: Caller, credentials: Credentials, cookies: Cookies, proxies: Proxies) -> None:
        self._caller = caller
        self._proxies = proxies
        self._cookies = cookies
        self._credentials = credentials

    async def open(self, exchange: Exchange, operation: Operation, path: dict[str, str], _: Actor) -> None:
        self._credentials.demand_same_origin(exchange)
        request = await read(exchange, operation, path)
        assert isinstance(request, OpenBrowserSession)  # noqa: S101 - read() decodes what the operation declares
        session = await self._caller.call(
            SignIn(email=request.email, password=request.password, org_id=request.org_id),
            client=self._client(exchange),
        )
        await self._answer(exchange, session)

    async def prove(self, exchange: Exchange, operation: Operation, path: dict[str, str], _: Actor) -> None:
        self._credentials.demand_same_origin(exchange)
        request = await read(exchange, operation, path)
        assert isinstance(request, ProveBrowserSession)  # noqa: S101 - read() decodes what the operation declares
        proof = SignInSecondFactor(ticket=request.ticket, code=request.code)
        await self._answer(exchange, await self._caller.call(proof, client=self._client(exchange)))

    async def confirm(
        self, exchange: Exchange, operation: Operation, path: dict[str, str], actor: Actor
    ) -> None:
        """The session stays, with another access token: a page that used a bearer token gets a cookie, too."""
        request = await read(exchange, operation, path)
        assert isinstance(request, ConfirmBrowserSession)  # noqa: S101 - read() decodes what the operation declares
        org = str(actor.org_id)
        fresh = await self._caller.call(
            ConfirmIdentity(password=request.password, code=request.code),
            token=actor.token,
            org=org,
            client=self._client(exchange),
        )
        me = await self._caller.call(GetMe(), token=fresh.access_token, org=org)
        access, life = fresh.access_token, fresh.expires_in_s
        self._cookies.write(exchange, ACCESS, access, max_age_s=life)
        answer = BrowserSession(me=me, csrf_token=self._credentials.csrf(access), expires_in_s=life)
        await exchange.answer(200, msgspec.json.encode(answer))

    async def show(self, exchange: Exchange, _: Operation, __: dict[str, str], actor: Actor) -> None:
        me = await self._caller.call(GetMe(), token=actor.token, org=str(actor.org_id))
        csrf = self._credentials.csrf(actor.token)
        await exchange.answer(200, call.encode_answer(BrowserSession(me=me, csrf_token=csrf, expires_in_s=0)))

    async def refresh(self, exchange: Exchange, _: Operation, __: dict[str, str], ___: Actor) -> None:
        self._credentials.demand_same_origin(exchange)
        token = self._cookies.read(exchange, REFRESH)
        if not token:
            raise Refused(RefreshRefused())
        await self._answer(
            exchange, await self._caller.call(Refresh(refresh_token=token), client=self._client(exchange))
        )

    async def close(self, exchange: Exchange, _: Operation, __: dict[str, str], actor: Actor) -> None:
        await self._caller.call(SignOut(), token=actor.token, org=str(actor.org_id))
        for cookie in (ACCESS, REFRESH):
            self._cookies.write(exchange, cookie, "", max_age_s=0)
        await exchange.answer_nothing()

    def _client(self, exchange: Exchange) -> Mapping[str, str]:
        return call.client_headers(self._proxies.address(exchange), exchange.header(b"user-agent"))

    async def _answer(self, exchange: Exchange, session: Session) -> None:
        access = session.access_token
        self._cookies.write(exchange, ACCESS, access, max_age_s=session.expires_in_s)
        self._cookies.write(exchange, REFRESH, session.refresh_token, max_age_s=_REFRESH_S)
        csrf = self._credentials.csrf(access)
        answer = BrowserSession(me=session.me, csrf_token=csrf, expires_in_s=session.expires_in_s)
        await exchange.answer(200, msgspec.json.encode(answer))
