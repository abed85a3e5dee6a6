"""Files that steps read: from the catalog, as the one a run acts as, with no more rights than its components declare."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING
from uuid import UUID

from polis.proto import Refused, catalog
from polis.proto.problems import DeadlineExceeded, Overloaded, Unauthenticated, Unavailable
from polis.runtime.component import StepFailed

if TYPE_CHECKING:
    from polis.proto.runtime import Run
    from polis.runtime.engine.program import Program
    from polis.runtime.shell.tokens import Tokens
    from polis.service import Kernel

_PART_WAIT_S = 10.0
_AGAIN_S = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Between attempts that bring nothing; then the step fails, and its own policy says whether it is tried again."""
_BROKEN = (Unavailable, DeadlineExceeded, Overloaded, Unauthenticated)


class Artifacts:
    """Reads artifacts for runs. `at_once` bounds how many of them together."""

    def __init__(self, kernel: Kernel, tokens: Tokens, at_once: int) -> None:
        self._kernel = kernel
        self._tokens = tokens
        self._slots = asyncio.Semaphore(at_once)

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
                        self._tokens.forget(run, program.scopes)
                    if fruitless == len(_AGAIN_S) or not isinstance(refusal.problem, _BROKEN):
                        raise
                    await asyncio.sleep(_AGAIN_S[fruitless])
                else:
                    return

    async def _stream(
        self, run: Run, program: Program, request: catalog.DownloadArtifact, skip: int
    ) -> AsyncIterator[bytes]:
        """The bytes behind the first `skip` ones."""
        token = await self._tokens.of(run, program.scopes)
        org = str(run.org_id)
        async for part in self._kernel.caller.stream(request, token=token, org=org, timeout_s=_PART_WAIT_S):
            if skip < len(part):
                yield part[skip:]
            skip = max(0, skip - len(part))
