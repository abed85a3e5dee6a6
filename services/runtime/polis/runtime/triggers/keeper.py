"""All that works for triggers and waits for events in a process: what is active, what is due, what events tell, and posts."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from polis.runtime.hearing.before import Before
from polis.runtime.hearing.hear import Hearing
from polis.runtime.hearing.told import Stream
from polis.runtime.own import Own, open_own
from polis.runtime.triggers import following
from polis.runtime.triggers.activations import Activations
from polis.runtime.triggers.clock import Clock
from polis.runtime.triggers.feed import Feed
from polis.runtime.triggers.firing import Firing
from polis.runtime.triggers.hooks import Hooks
from polis.runtime.triggers.messages import Messages
from polis.service.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from polis.runtime.config import Config
    from polis.runtime.triggers.following import Followed
    from polis.service import Kernel


class Keeper:
    """The parts, and who wakes whom."""

    def __init__(self, kernel: Kernel, own: Own, tasks: Tasks) -> None:
        self.database = kernel.database
        self.firing = Firing(kernel, own)
        self.clock = Clock(kernel.database, self.firing)
        self.messages = Messages(kernel, own.executor, self.firing)
        stream = Stream(kernel.bus, kernel.service)
        self.hearing = Hearing(kernel.database, stream, self.firing.stand_in, own.executor.peers)
        self.feed = Feed(kernel, (self._fire, self.hearing.hear), tasks)
        self.before = Before(kernel.database, stream, self.hearing, self.feed)
        self.hooks = Hooks(kernel, self.firing)
        self.activations = Activations(kernel, own, self.firing.stand_in)
        self.activations.on_change += [self.clock.wake, self.feed.changed]

    async def _fire(self, event: Followed) -> None:
        await following.fire(self.database, self.firing, self.messages, event)

    def changed(self) -> None:
        """A trigger was paused or resumed: what is due and what is followed is other."""
        self.clock.wake.set()
        self.feed.changed.set()


@asynccontextmanager
async def open_with_triggers(config: Config, kernel: Kernel) -> AsyncIterator[Own]:
    """What the runtime holds, with triggers at work; they end before what they start runs with."""
    async with open_own(config, kernel) as own, Tasks() as tasks:
        own.triggers = keeper = Keeper(kernel, own, tasks)
        tasks.start(keeper.activations.run(), name="activations")
        tasks.start(keeper.clock.run(), name="clock")
        tasks.start(keeper.feed.run(), name="feed")
        tasks.start(keeper.before.run(), name="before")
        tasks.start(keeper.messages.talks.run(), name="talks")
        tasks.start(keeper.messages.turns.run(), name="turns")
        yield own
