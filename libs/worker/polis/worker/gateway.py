"""The four operations of a worker over HTTP, repeated while the gateway cannot be reached."""

from __future__ import annotations

import asyncio
import json
import random
from typing import TYPE_CHECKING, Any, Self

import aiohttp

from polis.client import Connection, Problem

if TYPE_CHECKING:
    from types import TracebackType

    from polis.worker.job import Job

WAIT_S = 5.0
"""For how long an answer without jobs may take."""
_PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0)


class Gone(Exception):
    """The job is not this worker's any more: somebody else's, over, or its run has ended."""


class Refused(Exception):
    """The gateway does not do what it was asked, and would not if it was asked again."""


class Gateway:
    """The gateway at an address, with an API key, or as the agent or application whose client id and secret these are."""

    def __init__(self, address: str, credential: str | tuple[str, str]) -> None:
        self._client = credential if isinstance(credential, tuple) else None
        self._token = ""
        self._connection = Connection(address, credential if isinstance(credential, str) else self._trade)

    async def __aenter__(self) -> Self:
        await self._connection.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._connection.__aexit__(kind, error, traceback)

    async def claim(self, components: list[str], limit: int) -> list[dict[str, Any]]:
        wanted = {"components": components, "limit": limit, "wait_s": WAIT_S}
        return list((await self._post("/jobs/claim", wanted))["jobs"])

    async def heartbeat(self, job: Job) -> None:
        await self._post(f"/jobs/{job.id}/heartbeat", {"token": job.token})

    async def complete(self, job: Job) -> None:
        body = {"token": job.token, "emitted": job.emitted, "cost": sum(job.costs)}
        await self._post(f"/jobs/{job.id}/complete", body, key=_key(job))

    async def fail(self, job: Job, kind: str, message: str, *, retryable: bool) -> None:
        why = {"kind": kind, "message": message[:2000] or kind, "retryable": retryable}
        body = {"token": job.token, **why, "cost": sum(job.costs)}
        await self._post(f"/jobs/{job.id}/fail", body, key=_key(job))

    async def _post(self, path: str, body: dict[str, Any], *, key: str = "") -> Any:
        """The answer, however long the gateway is away. Gone, or Refused with what it says."""
        attempt = 0
        while True:
            try:
                return await self._once(path, body, key)
            except (aiohttp.ClientConnectionError, TimeoutError, _LaterError):
                longest = _PAUSES_S[min(attempt, len(_PAUSES_S) - 1)]
                await asyncio.sleep(random.uniform(longest / 2, longest))  # noqa: S311 - nothing secret
                attempt += 1

    async def _once(self, path: str, body: dict[str, Any], key: str) -> Any:
        headers = {"Idempotency-Key": key} if key else {}
        try:
            answer = await self._connection.request("POST", path, body, headers=headers)
        except Problem as problem:
            raise self._refusal(problem, path) from None
        return json.loads(answer) if answer else None

    async def _trade(self, renew: bool) -> str:  # noqa: FBT001 - what a connection asks of a token
        """An access token, which holds for minutes."""
        if self._client and (renew or not self._token):
            body = dict(zip(("client_id", "client_secret"), self._client, strict=True))
            async with Connection(self._connection.address) as nobody:
                answer = json.loads(await nobody.request("POST", "/token", body))
            self._token = str(answer["access_token"])
        return self._token

    def _refusal(self, problem: Problem, path: str) -> Exception:
        if problem.may_pass or problem.status > 500:
            return _LaterError()
        if problem.status in (404, 409) and path.startswith("/jobs/") and path != "/jobs/claim":
            return Gone()
        return Refused(f"{problem.status} {problem}"[:2000])


class _LaterError(Exception):
    """The gateway says that it may do it later."""


def _key(job: Job) -> str:
    return f"{job.id}-{job.token}"
