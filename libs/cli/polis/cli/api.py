"""A client of the gateway: JSON in, JSON out, a problem raised as `Problem`; it knows nothing of the mesh behind."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import aiohttp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path
    from types import TracebackType

TIMEOUT_S = 30.0
UPLOAD_TIMEOUT_S = 600.0
_RESUME_S = 0.5
_ATTEMPTS = 20


class Problem(Exception):
    """A refusal of the gateway (RFC 9457)."""

    def __init__(self, content: dict[str, Any]) -> None:
        faults = "; ".join(f"{f['pointer']}: {f['detail']}" for f in content.get("faults", ()))
        super().__init__(" ".join(filter(None, (content.get("title"), content.get("detail"), faults))))
        self.content = content


class Api:
    """One signed-in (or anonymous) client. `address` is the gateway's origin."""

    def __init__(self, address: str, token: str = "") -> None:
        self.address = address.rstrip("/")
        self.token = token
        self._http: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._http.close()

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    async def call(self, method: str, path: str, body: object = None) -> Any:
        async with self._http.request(
            method, f"{self.address}/api/v1{path}", json=body, headers=self._headers
        ) as answer:
            return await _content(answer)

    async def lines(self, path: str) -> AsyncIterator[bytes]:
        """The lines of a streamed answer, all of them: Problem when it breaks off."""
        try:
            async with self._http.get(
                f"{self.address}/api/v1{path}",
                headers=self._headers,
                timeout=aiohttp.ClientTimeout(total=UPLOAD_TIMEOUT_S),
            ) as answer:
                if answer.status >= 400:
                    await _content(answer)
                rest = b""
                async for part in answer.content.iter_any():
                    *whole, rest = (rest + part).split(b"\n")
                    for line in whole:
                        yield line
        except aiohttp.ClientError as error:
            raise Problem({"title": f"The answer of {self.address} broke off: {error}"}) from None

    async def sign_up(self, *, name: str = "Demo") -> tuple[str, str]:
        """Make an account with an org of its own, and act as it; its e-mail address and password."""
        email, password = f"{name.lower()}-{secrets.token_hex(4)}@example.org", secrets.token_urlsafe(12)
        session = await self.call("POST", "/sign-up", {"email": email, "password": password, "name": name})
        self.token = session["access_token"]
        return email, password

    async def upload(self, file: Path, *, name: str, media_type: str) -> Any:
        """Store a file as an artifact; it is streamed from the disk."""
        headers = {
            **self._headers,
            "Content-Type": "application/octet-stream",
            "Content-Length": str((await asyncio.to_thread(file.stat)).st_size),
        }
        query = f"name={quote(name, safe='')}&media_type={quote(media_type, safe='')}"
        with file.open("rb") as content:
            async with self._http.post(
                f"{self.address}/api/v1/artifacts?{query}",
                data=content,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=UPLOAD_TIMEOUT_S),
            ) as answer:
                return await _content(answer)

    async def follow(self, topic: str, *, after: int | None = None) -> AsyncIterator[dict[str, Any]]:
        """The frames of a topic until its end; a cut is resumed behind the last sequence seen."""
        last = after
        for _ in range(_ATTEMPTS):
            try:
                async with self._http.ws_connect(
                    f"{self.address}/api/v1/live", headers=self._headers
                ) as socket:
                    await socket.send_json({"op": "subscribe", "topic": topic, "after": last})
                    async for message in socket:
                        frame = message.json()
                        if frame["op"] == "problem":
                            raise Problem(frame["problem"])
                        last = frame.get("seq", last)
                        yield frame
                        if frame["op"] == "end":
                            return
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(_RESUME_S)
        raise Problem({"title": f"The live connection to {self.address} was lost."})


async def _content(answer: aiohttp.ClientResponse) -> Any:
    if answer.status == 204:
        return None
    content = await answer.json(content_type=None)
    if answer.status >= 400:
        raise Problem(content)
    return content
