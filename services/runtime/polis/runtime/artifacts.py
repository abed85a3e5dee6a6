"""Files that steps read: from the catalog, as the one a run acts as, with no more rights than its components declare."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING
from uuid import UUID

from polis.proto import Refused, catalog, identity
from polis.runtime.component import StepFailed

if TYPE_CHECKING:
    from polis.proto.runtime import Run
    from polis.runtime.program import Program
    from polis.service import Kernel

_TOKENS = 4096
_RENEW_AT = 0.6
"""A token is renewed after this share of its lifetime."""
_PART_WAIT_S = 30.0

Holder = tuple[UUID, UUID, tuple[str, ...]]


class Artifacts:
    """Reads artifacts for runs. `at_once` bounds how many of them together."""

    def __init__(self, kernel: Kernel, at_once: int) -> None:
        self._kernel = kernel
        self._slots = asyncio.Semaphore(at_once)
        self._tokens: OrderedDict[Holder, tuple[float, str]] = OrderedDict()

    async def read(self, run: Run, program: Program, artifact_id: str) -> AsyncIterator[bytes]:
        """The bytes of a file. StepFailed for what is no id, Refused when it cannot be had."""
        try:
            request = catalog.DownloadArtifact(artifact_id=UUID(artifact_id))
        except ValueError:
            raise StepFailed("artifact.no_id", "this is no id of an artifact") from None
        async with self._slots:
            token = await self._token(run, program.scopes)
            parts = self._kernel.caller.stream(
                request, token=token, org=str(run.org_id), timeout_s=_PART_WAIT_S
            )
            async for part in parts:
                yield part

    async def _token(self, run: Run, scopes: tuple[str, ...]) -> str:
        """A token of the one that a run acts as, narrowed to these scopes."""
        holder = (run.org_id, run.actor_id, scopes)
        renew_at, token = self._tokens.get(holder, (0.0, ""))
        if time.monotonic() < renew_at:
            return token
        request = identity.Delegate(org_id=run.org_id, principal_id=run.actor_id, scopes=scopes)
        try:
            answer = await self._kernel.caller.call(request, token=await self._kernel.keys.own_token())
        except Refused as refusal:
            if isinstance(refusal.problem, identity.PrincipalNotFound):
                raise StepFailed(
                    "actor.gone", "the one that this run acts as is not in the org any more"
                ) from None
            raise
        self._tokens[holder] = (time.monotonic() + answer.expires_in_s * _RENEW_AT, answer.access_token)
        if len(self._tokens) > _TOKENS:
            self._tokens.popitem(last=False)
        return answer.access_token
