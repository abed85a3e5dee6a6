"""The four operations of a worker over HTTP, repeated while the gateway cannot be reached."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any, Self

import aiohttp

if TYPE_CHECKING:
    from types import TracebackType

    from polis.worker.job import Job

WAIT_S = 5.0
"""For how long an answer without jobs may take."""
_TIMEOUT_S = 30.0
_PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0)


class Gone(Exception):
    """The job is not this worker's any more: somebody else's, over, or its run has ended."""


class Refused(Exception):
    """The gateway does not do what it was asked, and would not if it was asked again."""


class Gateway:
    """The gateway at an address, with an API key, or as the agent or application whose client id and secret these are."""

    def __init__(self, address: str, credential: str | tuple[str, str]) -> None:
        self._address = f"{address.rstrip('/')}/api/v1"
        self._client = credential if isinstance(credential, tuple) else None
        self._token = credential if isinstance(credential, str) else ""
        self._http: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._http.close()

    async def claim(self, components: list[str], limit: int) -> list[dict[str, Any]]:
        wanted = {"components": components, "limit": limit, "wait_s": WAIT_S}
        return list((await self._post("/jobs/claim", wanted))["jobs"])

    async def heartbeat(self, job: Job) -> None:
        await self._post(f"/jobs/{job.id}/heartbeat", {"token": job.token})

    async def complete(self, job: Job) -> None:
        await self._post(
            f"/jobs/{job.id}/complete", {"token": job.token, "emitted": job.emitted}, key=_key(job)
        )

    async def fail(self, job: Job, kind: str, message: str, *, retryable: bool) -> None:
        body = {"token": job.token, "kind": kind, "message": message[:2000] or kind, "retryable": retryable}
        await self._post(f"/jobs/{job.id}/fail", body, key=_key(job))

    async def _post(self, path: str, body: dict[str, Any], *, key: str = "") -> Any:
        """The answer, however long the gateway is away. Gone, or Refused with what it says."""
        attempt = 0
        while True:
            try:
                return await self._once(path, body, key)
            except (aiohttp.ClientConnectionError, aiohttp.ServerTimeoutError, TimeoutError, _LaterError):
                longest = _PAUSES_S[min(attempt, len(_PAUSES_S) - 1)]
                await asyncio.sleep(random.uniform(longest / 2, longest))  # noqa: S311 - nothing secret
                attempt += 1

    async def _once(self, path: str, body: dict[str, Any], key: str) -> Any:
        if self._client and not self._token:
            self._token = await self._trade(*self._client)
        headers = {"Authorization": f"Bearer {self._token}"} | ({"Idempotency-Key": key} if key else {})
        async with self._http.post(self._address + path, json=body, headers=headers) as answer:
            if answer.status < 300:
                return None if answer.status == 204 else await answer.json()
            if answer.status == 401 and self._client:
                self._token = ""
                raise _LaterError
            raise await _refusal(answer, path)

    async def _trade(self, client_id: str, client_secret: str) -> str:
        """An access token, which holds for minutes."""
        body = {"client_id": client_id, "client_secret": client_secret}
        async with self._http.post(f"{self._address}/token", json=body) as answer:
            if answer.status >= 300:
                raise await _refusal(answer, "/token")
            return str((await answer.json())["access_token"])


class _LaterError(Exception):
    """The gateway says that it may do it later."""


async def _refusal(answer: aiohttp.ClientResponse, path: str) -> Exception:
    if answer.status in (404, 409) and path.startswith("/jobs/") and path != "/jobs/claim":
        return Gone()
    if answer.status == 429 or answer.status >= 500:
        return _LaterError()
    return Refused(f"{answer.status} {(await answer.text())[:2000]}")


def _key(job: Job) -> str:
    return f"{job.id}-{job.token}"
