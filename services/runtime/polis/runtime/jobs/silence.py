"""Whose silence is their own: a job is lost when nothing was heard of its worker while it could have been."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from polis.runtime.jobs import rows
from polis.service.rounds import rounds

if TYPE_CHECKING:
    from polis.db import Transaction
    from polis.runtime.waits import OpenWait
    from polis.service import Kernel

_LOOK_S = 1.0
_LONGEST_GAP_S = 2.0


class Silence:
    """When this process has been able to hear workers, by its own clock.

    It looks again and again whether it is (broker and database answer, it is not itself held up). Where looks are missing for
    longer than a worker has between two signs of life, a third of its lease, it has the whole lease from their end on.
    """

    def __init__(self) -> None:
        self._heard = -math.inf
        self._gaps: list[tuple[float, float]] = []
        """How long nobody was heard, and until when: longest first, and of two the later one only if it is shorter."""

    def left_s(self, lease_s: float, now: float) -> float:
        """How much is left of a lease to who was silent until now; 0.0 when all that was said within it was heard."""
        gap_s = max(lease_s / 3, _LONGEST_GAP_S)
        if now - self._heard > gap_s:
            return lease_s
        since = next(until for length_s, until in reversed(self._gaps) if length_s > gap_s)
        return max(0.0, since + lease_s - now)

    def heard(self, now: float) -> None:
        """A look found that everything answers."""
        gap_s = now - self._heard
        if gap_s > _LONGEST_GAP_S:
            while self._gaps and self._gaps[-1][0] <= gap_s:
                self._gaps.pop()
            self._gaps.append((gap_s, now))
        self._heard = now

    async def keep(self, kernel: Kernel) -> None:
        """Look, for as long as the service runs."""

        async def look() -> None:
            await kernel.bus.round_trip(_LOOK_S)
            await kernel.database.ping(_LOOK_S)
            self.heard(time.monotonic())

        await rounds("silence of workers", look, every_s=_LOOK_S)

    async def over(self, tx: Transaction, due: Sequence[OpenWait]) -> list[OpenWait]:
        """Those jobs whose time has come that are over; whose worker could not be heard has what is left of its lease."""
        now = time.monotonic()
        silent = {row.id: row.silent for row in await rows.overdue(tx, [wait.id for wait in due])}
        left = {wait.id: self.left_s(rows.lease_s_of(wait), now) for wait in due if silent.get(wait.id)}
        unheard = {job_id: left_s for job_id, left_s in left.items() if left_s > 0}
        if unheard:
            await rows.put_off(tx, unheard)
        return [wait for wait in due if wait.id in silent and wait.id not in unheard]
