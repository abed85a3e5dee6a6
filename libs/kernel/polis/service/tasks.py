"""Background tasks of a process: owned, named, ended with it; a crashed one is logged, never lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from polis.telemetry import log

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from types import TracebackType


class Tasks:
    """A set of tasks that ends with its owner. Unlike a TaskGroup, one that fails does not take the others down."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, work: Coroutine[object, object, None], *, name: str = "") -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name=name or None)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task.failed", task=task.get_name(), exc_info=error)

    async def join(self, timeout_s: float) -> int:
        """Wait for the running tasks, for a bounded time; how many are still running."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)
        return len(self._tasks)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await self.join(5.0)
