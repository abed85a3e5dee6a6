"""What the runtime holds while it runs."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from polis.proto.contract import events
from polis.runtime.asks import clock, opening
from polis.runtime.asks.links import Signer
from polis.runtime.jobs.silence import Silence
from polis.runtime.jobs.waiting import Waiting
from polis.runtime.notifications.posting import Posts
from polis.runtime.retention.policy import policy_of
from polis.runtime.retention.sweep import Sweep
from polis.runtime.runs.latecomers import Latecomers
from polis.runtime.runs.remembered import Changes
from polis.runtime.runs.resolve import Graphs
from polis.runtime.shell.executor import Executor
from polis.runtime.shell.observe import Observe
from polis.runtime.shell.watch import Watch
from polis.service.quotas import Quotas
from polis.service.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from polis.runtime.config import Config
    from polis.runtime.retention.policy import Policy
    from polis.runtime.triggers.keeper import Keeper
    from polis.service import Kernel


class Own:
    """What the runtime holds while it runs."""

    triggers: Keeper

    def __init__(self, kernel: Kernel, executor: Executor, changes: Changes, retention: Policy) -> None:
        self.database = kernel.database
        self.executor = executor
        self.links = Signer(kernel.settings.credential)
        self.quotas = Quotas(kernel, "runs")
        self.retention = retention
        self.graphs = Graphs(changes, executor.programs)
        self.jobs = Waiting(kernel)
        self.silence = Silence()
        self.jobs.hear(self.silence)
        self.latecomers = Latecomers(kernel.database, executor)
        self.posts = Posts(kernel, executor.reaching)


@asynccontextmanager
async def open_own(config: Config, kernel: Kernel) -> AsyncIterator[Own]:
    async with Tasks() as tasks:
        executor = Executor(config, kernel, tasks)
        retention = policy_of(config)
        own = Own(kernel, executor, await _follow_changes(kernel), retention)
        opening.register()
        watch = Watch(config, kernel.database, executor)
        await executor.peers.listen()
        await watch.begin()
        watching = tasks.start(watch.keep(), name="watch")
        tasks.start(Sweep(kernel.database, retention).keep(), name="retention")
        tasks.start(Observe(config, kernel.database, executor).keep(), name="observe")
        tasks.start(executor.peers.keep(), name="peers")
        tasks.start(executor.turn.keep(), name="waits")
        tasks.start(clock.keep(kernel.database), name="asks")
        tasks.start(own.silence.keep(kernel), name="silence")
        tasks.start(own.latecomers.keep(), name="latecomers")
        tasks.start(own.posts.keep(), name="notifications")
        try:
            yield own
        finally:
            watching.cancel()
            await watch.end()
            executor.offer_work()
            await executor.reaching.close()


async def _follow_changes(kernel: Kernel) -> Changes:
    """Hear of the catalog's changes before who made them has an answer."""
    changes = Changes()
    for kind in events("catalog"):
        if kernel.service in kind.at_once:
            subject = f"now.{kind.service}.{kind.fact}.>"
            await kernel.bus.subscribe(subject, lambda message: changes.heard(message.subject))
    kernel.bus.on_reconnect.append(changes.missed)
    return changes
