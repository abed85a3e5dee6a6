"""What messaging holds while it runs, and its endless tasks."""

from __future__ import annotations

import asyncio
import operator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from polis.messaging.asked import settling
from polis.messaging.bounds import Bucket
from polis.messaging.directory import Directory
from polis.messaging.handoff import clock
from polis.messaging.keeping import retention
from polis.messaging.live.presence import Presences
from polis.messaging.messages import posting
from polis.messaging.messages.judged import Judged
from polis.messaging.messages.plain import PlainPosts
from polis.messaging.notifications import clock as notifications
from polis.messaging.search.words import Indexer
from polis.messaging.streams import ending, saying
from polis.messaging.streams.hearing import Hearing
from polis.messaging.telling import Telling
from polis.messaging.turns import clock as turns
from polis.messaging.turns.rules import Bounds
from polis.service.blocks import Blocks, Unit, User
from polis.service.bounded import Bounded
from polis.service.passing import Passing
from polis.service.rounds import rounds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from polis.messaging.config import Config
    from polis.service import Actor, Context, Kernel

_BURST_S = 5.0
"""So many seconds' worth may come at once."""


class Own:
    """What messaging holds while it runs."""

    def __init__(self, config: Config, kernel: Kernel) -> None:
        self.config = config
        self.database = kernel.database
        self.bus = kernel.bus
        self.telling = Telling(kernel.bus)
        self.bounds = Bounds(config.agent_talk_turns, config.agent_talk_characters)
        self.posting = posting.Posting(self.telling, self.bounds)
        self.judged = Judged()
        self.posts = posting.group(kernel.database, self.posting, PlainPosts(kernel.database, self.telling))
        self._posts_of_principal = _bucket(config.posts_per_second)
        self._posts_in_conversation = _bucket(config.conversation_posts_per_second)
        self.pieces = saying.group(kernel.database, saying.Saying(self.telling, config.stream_lease_s))
        self.saying_in_stream = _bucket(config.stream_pieces_per_second)
        self.hearing = Hearing(config.stream_lease_s)
        self.stuck: Passing[UUID, float] = Passing(operator.le, most=10_000)
        """Conversations with streams that could not be ended, and until when they are left alone."""
        self.typing = Bucket(1.0, 2)
        self.presence_rate = Bucket(0.5, 10)
        self.directory = Directory()
        self.presences = Presences(kernel, self.telling)
        self.indexer = Indexer(kernel.database)
        self.telling.on_posted.append(self.indexer.heed)
        self.exporting = asyncio.Semaphore(config.exports)
        self.bounded = Bounded(kernel, "messages")
        self.blocks = Blocks(kernel, "messages")
        self.bounded.on_change.append(self.blocks.forget)

    def demand_rate(self, actor: Actor, conversation_id: UUID | None = None) -> None:
        """Whatever is told to everybody in a conversation counts like a message. Refused(Overloaded)."""
        # Of numbers, for a UUID takes its time to be hashed.
        org = actor.org_id.int
        self._posts_of_principal.demand((org, actor.principal_id.int))
        if conversation_id is not None:
            self._posts_in_conversation.demand((org, conversation_id.int))

    @asynccontextmanager
    async def counted(self, ctx: Context[Own]) -> AsyncIterator[Unit]:
        """What is said counts as one of the org's messages, if it is said in this block and a quota bounds them."""
        if not await self.bounded.has(ctx.actor.org_id, ctx.deadline):
            yield Unit()
            return
        async with self.blocks.one(User.of(ctx.actor), ctx.deadline) as unit:
            yield unit


def _bucket(rate: float) -> Bucket:
    return Bucket(rate, rate * _BURST_S)


@asynccontextmanager
async def open_own(config: Config, kernel: Kernel) -> AsyncIterator[Own]:
    own = Own(config, kernel)
    await own.presences.listen()
    kernel.tasks.start(own.indexer.keep(), name="indexer")
    kernel.tasks.start(clock.keep(kernel.database, own.telling), name="handoffs")
    kernel.tasks.start(turns.keep(kernel.database, own.telling, config.turn_hold_s), name="turns")
    kernel.tasks.start(ending.keep(own), name="streams")
    kernel.tasks.start(settling.keep(kernel, own), name="replies to asks")
    kernel.tasks.start(notifications.keep(kernel.database, config), name="notifications")
    kernel.tasks.start(rounds("sweep", lambda: _sweep(own), every_s=config.sweep_every_s), name="sweep")
    try:
        yield own
    finally:
        await own.blocks.close()


async def _sweep(own: Own) -> None:
    """Remove what is kept no longer."""
    now = datetime.now(UTC)
    await retention.sweep(own.database, now, own.config.message_retention_days)
    await ending.forget(own, now)
