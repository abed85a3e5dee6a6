"""Runs that rest: when nothing is left but waiting, for another attempt too, or it is paused, a run is written down and leaves the memory."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from polis.runtime.shell.executor import Executor
    from polis.runtime.shell.live import Live
    from polis.runtime.shell.records import Flush

LINGER_S = 0.25
"""How long a run is kept after its last move: what comes soon finds it at work, and nothing is computed again."""


class Resting:
    """Lays runs to rest. One that others wait to be executed for goes at once."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def consider(self, live: Live) -> None:
        """Lay it to rest in a moment, if nothing is under way in it but waits."""
        if live.rests and live.rest_timer is None:
            linger = LINGER_S if self._executor.room else 0.0
            live.rest_timer = asyncio.get_running_loop().call_later(linger, self._begin, live)

    def _begin(self, live: Live) -> None:
        live.rest_timer = None
        executor = self._executor
        if executor.find(live.execution.run.id) is live and live.rests and not live.flushing:
            live.flushing = live.resting = True
            live.execution.lie_down()
            flush = live.progress.rest(live.execution)
            if flush is None:
                live.flushing = live.resting = False
                executor.changed(live.execution)
                return
            executor.start(self._lay_down(live, flush), name="rest")

    async def _lay_down(self, live: Live, flush: Flush) -> None:
        await self._executor.write(live, flush)
