"""A process that claims jobs, has them done, and says in time that they are still being done."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from polis.worker.gateway import Gateway, Gone, Refused
from polis.worker.job import Handler, Job, JobFailed, read

BEATS_PER_LEASE = 3
_LAST_S = 5.0
"""For giving a job back at the end."""
_SOON_S = 1.0
"""Between two empty answers: where the gateway lets nobody wait, it is not asked without end."""

log = logging.getLogger("polis.worker")
H = TypeVar("H", bound=Handler)


class Worker:
    """The components that it does, by key. credential: an API key with the scope `runtime:work`, or an agent's client id and secret.

    at_once: jobs at a time. drain_s: how long jobs may go on after SIGTERM; then they are given back.
    """

    def __init__(
        self, address: str, credential: str | tuple[str, str], *, at_once: int = 8, drain_s: float = 30.0
    ) -> None:
        self._gateway = Gateway(address, credential)
        self._at_once = at_once
        self._drain_s = drain_s
        self._handlers: dict[str, Handler] = {}
        self._jobs: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()

    def component(self, key: str) -> Callable[[H], H]:
        """Register the coroutine function that does the jobs of a component."""

        def register(handler: H) -> H:
            self._handlers[key] = handler
            return handler

        return register

    def run(self) -> None:
        """Work until SIGTERM or SIGINT."""
        asyncio.run(self._run_until_told())

    def stop(self) -> None:
        """Claim nothing more; `work` returns when what was begun is over."""
        self._stopping.set()

    async def work(self) -> None:
        """Work until `stop`. Refused when the token may not."""
        async with self._gateway:
            try:
                while not self._stopping.is_set():
                    await self._turn()
            finally:
                await self._drain()

    async def _run_until_told(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        await self.work()

    async def _turn(self) -> None:
        """Claim as many jobs as there is room for, and begin them. A claim is never cut off: its jobs would be nobody's."""
        room = self._at_once - len(self._jobs)
        if room <= 0:
            await self._wait(self._jobs)
            return
        began = time.monotonic()
        claimed = await self._gateway.claim(sorted(self._handlers), room)
        for given in claimed:
            task = asyncio.get_running_loop().create_task(self._do(read(given)))
            self._jobs.add(task)
            task.add_done_callback(self._jobs.discard)
        if not claimed and time.monotonic() - began < _SOON_S:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _SOON_S)

    async def _wait(self, jobs: set[asyncio.Task[None]]) -> None:
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({*jobs, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()

    async def _drain(self) -> None:
        if self._jobs:
            await asyncio.wait(self._jobs, timeout=self._drain_s)
        for task in list(self._jobs):
            task.cancel()
        if self._jobs:
            await asyncio.wait(self._jobs)

    async def _do(self, job: Job) -> None:
        """Have a job done, and bring what came of it, unless it became somebody else's meanwhile."""
        doing = asyncio.ensure_future(self._handlers[job.component](job))
        beating = asyncio.ensure_future(self._beat(job))
        try:
            await asyncio.wait({doing, beating}, return_when=asyncio.FIRST_COMPLETED)
            if doing.done():
                await self._bring(job, doing)
            else:
                log.warning("job %s is not ours any more", job.id)
        except asyncio.CancelledError:
            await self._stop(doing)
            with suppress(Gone, Refused, TimeoutError):
                async with asyncio.timeout(_LAST_S):
                    await self._gateway.fail(job, "worker.stopped", "its worker was stopped", retryable=True)
            raise
        except Gone:
            log.warning("job %s is not ours any more", job.id)
        except Refused as refused:
            log.error("job %s: %s", job.id, refused)  # noqa: TRY400 - the text says it all
            with suppress(Gone, Refused):
                await self._gateway.fail(job, "worker.refused", str(refused), retryable=False)
        finally:
            beating.cancel()
            await self._stop(doing)

    async def _bring(self, job: Job, doing: asyncio.Future[None]) -> None:
        error = None if doing.cancelled() else doing.exception()
        match error:
            case None if not doing.cancelled():
                await self._gateway.complete(job)
            case JobFailed():
                await self._gateway.fail(job, error.kind, str(error), retryable=error.retryable)
            case _:
                # What an unforeseen error says may hold anything: it stays in the worker's own log.
                log.error("job %s failed", job.id, exc_info=error)
                await self._gateway.fail(
                    job, "worker.crashed", f"its worker raised {type(error).__name__}", retryable=True
                )

    async def _beat(self, job: Job) -> None:
        """Say that it is still being done; returns when the job is somebody else's."""
        with suppress(Gone, Refused):
            while True:
                await asyncio.sleep(job.lease_s / BEATS_PER_LEASE)
                await self._gateway.heartbeat(job)

    async def _stop(self, doing: asyncio.Future[None]) -> None:
        if not doing.done():
            doing.cancel()
            await asyncio.wait({doing})
