"""The turn of a process to complete what is due: one look at an index, at the latest a second after the one before."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from polis.proto import Refused
from polis.runtime.waits.due import complete_due, complete_singly
from polis.service.rounds import rounds
from polis.telemetry import log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polis.db import Database
    from polis.runtime.waits.complete import Completed, Told
    from polis.runtime.waits.rows import Opening

TURN_S = 1.0
_SOONEST_S = 0.005
"""Between turns: what falls due at once is completed together."""


class Turn:
    """Completes what is due for as long as the process lives."""

    def __init__(self, database: Database, peers: Told) -> None:
        self._database = database
        self._peers = peers
        self._early = asyncio.Event()

    def opened(self, waits: Sequence[Opening]) -> None:
        """Have the next turn when one of these is due, if that is before it."""
        soon = [wait.due_s for wait in waits if wait.due_s is not None and wait.due_s < TURN_S]
        if soon:
            asyncio.get_running_loop().call_later(max(min(soon), 0.0), self._early.set)

    async def keep(self) -> None:
        await rounds(
            "waits that are due", self._take, every_s=TURN_S, wake=self._early, together_s=_SOONEST_S
        )

    async def _take(self) -> float:
        """Complete what is due; how long until more is."""
        completed, next_s = await self._complete()
        self._peers.tell([each.run_id for each in completed])
        return max(_SOONEST_S, next_s)

    async def _complete(self) -> tuple[list[Completed], float]:
        try:
            return await complete_due(self._database)
        except Refused:
            raise
        except Exception as error:  # noqa: BLE001 - one of them has a defect: the others go on
            log.error("waits.stuck", exc_info=error)
            return await complete_singly(self._database), TURN_S
