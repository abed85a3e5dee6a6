"""The gateway's HTTP and its live socket: JSON in, JSON out, a refusal raised as Problem; nothing is repeated here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Self

import aiohttp

from polis.client.problem import Problem
from polis.client.wire import Wire

if TYPE_CHECKING:
    from types import TracebackType

TIMEOUT_S = 30.0
LONG_TIMEOUT_S = 600.0
"""For files, and for answers of many parts."""
HEARTBEAT_S = 20.0
"""A socket that has not answered a ping for half of it is taken for cut."""
_MAX_FRAME = 16 * 1024 * 1024

Token = str | Callable[[bool], Awaitable[str]]
"""An access token or API key; or what gets one, told whether the last was refused."""


class Connection:
    """One caller of the gateway at `address`: its origin. Without a token it is nobody."""

    def __init__(self, address: str, token: Token = "", *, org: str = "") -> None:
        self.address = address.rstrip("/")
        self.token = token
        self.org = org
        self._http: aiohttp.ClientSession
        self._wires: dict[Token, list[Wire]] = {}

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for wire in [wire for wires in self._wires.values() for wire in wires]:
            await wire.close()
        await self._http.close()

    async def headers(self, *, renew: bool = False) -> dict[str, str]:
        token = self.token if isinstance(self.token, str) else await self.token(renew)
        given = {"Authorization": f"Bearer {token}"} if token else {}
        return given | ({"X-Org-Id": self.org} if self.org else {})

    async def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        data: Any = None,
        headers: dict[str, str] | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> bytes:
        """The body of the answer; aiohttp's errors where there is none. data: a body as it is, instead of one of JSON."""
        own, renew = headers or {}, False
        while True:
            async with self._http.request(
                method,
                f"{self.address}/api/v1{path}",
                json=body,
                data=data,
                headers=await self.headers(renew=renew) | own,
                timeout=aiohttp.ClientTimeout(total=timeout_s),
            ) as answer:
                if answer.status != 401 or renew or isinstance(self.token, str):
                    return await _checked(answer)
            renew = True

    async def lines(self, path: str) -> AsyncIterator[bytes]:
        """The lines of a streamed answer, all of them: Problem when it breaks off."""
        try:
            async with await self._opened(path) as answer:
                if answer.status >= 400:
                    await _checked(answer)
                rest = b""
                async for part in answer.content.iter_any():
                    *whole, rest = (rest + part).split(b"\n")
                    for line in whole:
                        yield line
        except aiohttp.ClientConnectorError as error:
            raise Problem({"title": f"Nobody answers at {self.address}: {error.strerror}"}) from None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Problem({"title": f"The answer of {self.address} broke off: {error}"}) from None

    async def _opened(self, path: str) -> aiohttp.ClientResponse:
        """An answer that has begun, asked for with another token where the first was refused."""
        renew = False
        while True:
            answer = await self._http.get(
                f"{self.address}/api/v1{path}",
                headers=await self.headers(renew=renew),
                timeout=aiohttp.ClientTimeout(total=LONG_TIMEOUT_S),
            )
            if answer.status != 401 or renew or isinstance(self.token, str):
                return answer
            answer.release()
            renew = True

    async def live(self, topic: str, after: int | None, **wanted: Any) -> AsyncIterator[dict[str, Any]]:
        """The frames of a topic for as long as the socket lives. Problem when it may not be followed; ClientError at a cut."""
        wire = self.wire(lambda wire: wire.takes(topic))
        async with aclosing(wire.frames(topic, after=after, **wanted)) as frames:
            async for frame in frames:
                yield frame

    def wire(self, fits: Callable[[Wire], bool] = lambda _: True) -> Wire:
        """The socket that all share, or another one, where something does not fit on it."""
        wires = self._wires.setdefault(self.token, [])
        found = next((wire for wire in wires if fits(wire)), None)
        if found is None:
            found = Wire(self._connect)
            wires.append(found)
        return found

    async def _connect(self) -> aiohttp.ClientWebSocketResponse:
        renew = False
        while True:
            try:
                return await self._http.ws_connect(
                    f"{self.address}/api/v1/live",
                    headers=await self.headers(renew=renew),
                    heartbeat=HEARTBEAT_S,
                    max_msg_size=_MAX_FRAME,
                )
            except aiohttp.WSServerHandshakeError as refused:
                if refused.status != 401 or renew or isinstance(self.token, str):
                    raise Problem(_handshake(refused)) from None
            renew = True


def _handshake(refused: aiohttp.WSServerHandshakeError) -> dict[str, Any]:
    kind = {401: "/problems/unauthenticated", 403: "/problems/forbidden", 429: "/problems/overloaded"}
    return {
        "type": kind.get(refused.status, "about:blank"),
        "status": refused.status,
        "title": "The live connection was refused.",
    }


async def _checked(answer: aiohttp.ClientResponse) -> bytes:
    if answer.status < 400:
        return await answer.read()
    content: object = None
    if "json" in answer.content_type:
        content = await answer.json(content_type=None)
    if not isinstance(content, dict):
        content = {"title": answer.reason or ""}
    after = answer.headers.get("Retry-After", "")
    raise Problem(
        content | {"status": answer.status}, retry_after_s=float(after) if after.isdecimal() else None
    )
