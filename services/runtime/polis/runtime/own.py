"""What the runtime holds while it runs."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from polis.runtime.runs.resolve import Components
from polis.runtime.shell.executor import Executor
from polis.runtime.shell.watch import Watch
from polis.service.quotas import Quotas
from polis.service.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from polis.runtime.config import Config
    from polis.service import Kernel


class Own:
    """What the runtime holds while it runs."""

    def __init__(self, executor: Executor, quotas: Quotas) -> None:
        self.executor = executor
        self.quotas = quotas
        self.components = Components()


@asynccontextmanager
async def open_own(config: Config, kernel: Kernel) -> AsyncIterator[Own]:
    async with Tasks() as tasks:
        executor = Executor(config, kernel, tasks)
        watch = Watch(config, kernel.database, executor)
        await watch.begin()
        watching = tasks.start(watch.keep(), name="watch")
        try:
            yield Own(executor, Quotas(kernel, "runs"))
        finally:
            watching.cancel()
            await watch.end()
