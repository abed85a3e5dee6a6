"""Tells identity, for the audit log, whom this process refused what: soon, together, and a bounded number at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from polis.proto import Problem, Refused
from polis.proto.identity import DENIALS, Denial, RecordDenials
from polis.proto.problems import Forbidden, SecondFactorMissing
from polis.telemetry import log

if TYPE_CHECKING:
    from uuid import UUID

    from polis.service.actor import Actor, Keys
    from polis.service.call import Caller
    from polis.service.tasks import Tasks

_EVERY_S = 1.0
"""How long denials are gathered: who tries a thousand times a second is told of in one record."""
_MOST = 5 * DENIALS
"""Different ones gathered at a time; what comes beyond is only in the log of requests."""


def _lacking(problem: Problem) -> str:
    """The right, or the proof, for want of which something was refused; empty for other problems."""
    if isinstance(problem, SecondFactorMissing):
        return "second_factor"
    return problem.scope if isinstance(problem, Forbidden) else ""


class Denials:
    """What was refused since the last time that it was told."""

    def __init__(self, caller: Caller, keys: Keys, tasks: Tasks) -> None:
        self._caller = caller
        self._keys = keys
        self._tasks = tasks
        self._counts: dict[tuple[UUID, UUID, str, str], int] = {}
        self._telling = False

    def note(self, actor: Actor, operation: str, problem: Problem) -> None:
        """Take note when somebody known was refused for lack of a right."""
        lacking = _lacking(problem)
        if not lacking or actor.kind in ("anonymous", "service"):
            return
        key = (actor.org_id, actor.principal_id, operation, lacking)
        if key in self._counts or len(self._counts) < _MOST:
            self._counts[key] = self._counts.get(key, 0) + 1
        if not self._telling:
            self._telling = True
            self._tasks.start(self._tell(), name="denials")

    async def _tell(self) -> None:
        try:
            while self._counts:  # also by what is refused while others are told of
                await asyncio.sleep(_EVERY_S)
                counts, self._counts = self._counts, {}
                denials = [Denial(*key, count) for key, count in counts.items()]
                for n in range(0, len(denials), DENIALS):
                    await self._send(tuple(denials[n : n + DENIALS]))
        finally:
            self._telling = False

    async def _send(self, denials: tuple[Denial, ...]) -> None:
        try:
            await self._caller.call(RecordDenials(denials), token=await self._keys.own_token())
        except Refused as refusal:  # they are in the log of requests, too
            log.warning("denials.not_told", count=len(denials), problem=refusal.problem.type)
