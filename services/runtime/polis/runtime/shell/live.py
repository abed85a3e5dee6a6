"""A run that this process executes, between its execution and what is written of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from polis.runtime.engine.activation import Recorded
    from polis.runtime.engine.item import Item
    from polis.runtime.shell.execution import Execution
    from polis.runtime.shell.progress import Progress


class Live:
    """A run in this process. resting: it is being laid to rest; stirred: something has come for it meanwhile."""

    __slots__ = (
        "execution", "flushing", "over", "progress", "rest_timer", "resting", "stirred", "timer",
    )  # fmt: skip

    def __init__(self, execution: Execution, progress: Progress) -> None:
        self.execution = execution
        self.progress = progress
        self.flushing = self.resting = self.stirred = False
        self.timer: asyncio.TimerHandle | None = None
        self.rest_timer: asyncio.TimerHandle | None = None
        self.over = asyncio.Event()

    @property
    def rests(self) -> bool:
        return self.execution.rests and not self.resting

    def take(self, node: str, item: Item, outcome: Recorded) -> None:
        """What it waited for. While it is laid to rest that is for whoever takes it up again."""
        if self.resting:
            self.stirred = True
        elif self.execution.completed(node, item, outcome):
            self.progress.heard += 1

    def pause(self, *, paused: bool) -> None:
        if self.resting:
            self.stirred = True
        else:
            self.execution.pause(paused=paused)

    def stop(self) -> None:
        self.over.set()
        for timer in (self.timer, self.rest_timer):
            if timer is not None:
                timer.cancel()
        self.execution.stop()
