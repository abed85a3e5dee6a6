"""Files that steps read: from the catalog, as the one a run acts as, with no more rights than its components declare."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING
from uuid import UUID

from polis.proto import Refused, catalog, identity
from polis.proto.problems import DeadlineExceeded, Overloaded, Unauthenticated, Unavailable
from polis.runtime.component import StepFailed

if TYPE_CHECKING:
    from polis.proto.runtime import Run
    from polis.runtime.engine.program import Program
    from polis.service import Kernel

_TOKENS = 4096
_RENEW_AT = 0.6
"""A token is renewed after this share of its lifetime."""
_PART_WAIT_S = 10.0
_AGAIN_S = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Between attempts that bring nothing; then the step fails, and its own policy says whether it is tried again."""
_BROKEN = (Unavailable, DeadlineExceeded, Overloaded, Unauthenticated)

Holder = tuple[UUID, UUID, tuple[str, ...]]


class Artifacts:
    """Reads artifacts for runs. `at_once` bounds how many of them together."""

    def __init__(self, kernel: Kernel, at_once: int) -> None:
        self._kernel = kernel
        self._slots = asyncio.Semaphore(at_once)
        self._tokens: OrderedDict[Holder, tuple[float, str]] = OrderedDict()

    async def read(self, run: Run, program: Program, artifact_id: str) -> AsyncIterator[bytes]:
        """The bytes of a file. StepFailed for what is no id, Refused when it cannot be had.

        A stream that breaks, because the catalog went away or the run took longer over a part than the catalog waits, is
        taken up again where it broke: a file never changes.
        """
        try:
            request = catalog.DownloadArtifact(artifact_id=UUID(artifact_id))
        except ValueError:
            raise StepFailed("artifact.no_id", "this is no id of an artifact") from None
        async with self._slots:
            taken = fruitless = 0
            while True:
                before = taken
                try:
                    async for part in self._stream(run, program, request, taken):
                        taken += len(part)
                        yield part
                except Refused as refusal:
                    fruitless = 0 if taken > before else fruitless + 1
                    if isinstance(refusal.problem, Unauthenticated):
                        # Ended before its time, as when a role changes or an agent was suspended: another one may hold.
                        self._tokens.pop((run.org_id, run.actor_id, program.scopes), None)
                    if fruitless == len(_AGAIN_S) or not isinstance(refusal.problem, _BROKEN):
                        raise
                    await asyncio.sleep(_AGAIN_S[fruitless])
                else:
                    return

    async def _stream(
        self, run: Run, program: Program, request: catalog.DownloadArtifact, skip: int
    ) -> AsyncIterator[bytes]:
        """The bytes behind the first `skip` ones."""
        token = await self._token(run, program.scopes)
        org = str(run.org_id)
        async for part in self._kernel.caller.stream(request, token=token, org=org, timeout_s=_PART_WAIT_S):
            if skip < len(part):
                yield part[skip:]
            skip = max(0, skip - len(part))

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
