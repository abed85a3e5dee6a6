"""Typing, presence and marks of a conversation are joined for a moment, of each the last; entries wait for nothing."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from uuid import UUID

import msgspec

from polis.gateway.audience import Turn
from polis.gateway.conversations import ConversationFeed
from polis.proto.messaging import Entry, LiveConversation, Typing
from polis.testing import eventually

ADA, TOM = UUID(int=1), UUID(int=2)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Told:
    """Stands for the audience: what it is told, frame by frame."""

    def __init__(self) -> None:
        self.frames: list[list] = []

    def tell(self, seq, things) -> None:
        assert {thing.seq for thing in things} <= {seq}
        self.frames.append(list(things))


def typing(who, seconds):
    return Typing(who, NOW + timedelta(seconds=seconds))


async def test_of_many_states_in_a_moment_the_last_is_told_and_who_has_spoken_types_no_more():
    loop = asyncio.get_running_loop()
    conversations = SimpleNamespace(forget=lambda _: None)
    feed = ConversationFeed(conversations, SimpleNamespace(), Turn(loop), UUID(int=8), UUID(int=9))
    feed.audience = told = Told()
    feed.last = 0

    def hear(**given):
        feed.hear(SimpleNamespace(payload=msgspec.json.encode(LiveConversation(**given))))

    hear(typing=(typing(ADA, 1),))
    await eventually(lambda: len(told.frames) == 1)
    for second in range(2, 50):
        hear(typing=(typing(ADA, second), typing(TOM, second)))
    hear(entries=(Entry(1, NOW, "posted", TOM),))
    assert [thing.seq for thing in told.frames[1]] == [1]

    await eventually(lambda: len(told.frames) == 3)
    assert [thing.typing for thing in told.frames[0]] == [typing(ADA, 1)]
    assert [thing.typing for thing in told.frames[2]] == [typing(ADA, 49)]
