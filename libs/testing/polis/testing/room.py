"""A conversation that is played on the bus, for tests of those who follow one: messaging's part, as far as they see it."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from polis.proto.contract import operation_of
from polis.proto.messaging import (
    LIVE_CONVERSATION,
    CheckWatches,
    Conversation,
    ConversationSnapshot,
    Entry,
    LiveConversation,
    Message,
    WatchConversation,
    WatchedState,
    WatchedStates,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from polis.bus import Bus
    from polis.bus import Message as BusMessage

_AT = datetime(2026, 1, 1, tzinfo=UTC)
_SPEAKER = UUID(int=7)


PAGE = 500
"""Entries that are read at once."""


class Room:
    """Told live as messaging tells it. bus: of somebody who may; seq: of the last entry; forgotten: up to which none is kept."""

    def __init__(self, bus: Bus, org_id: UUID, conversation_id: UUID, seq: int = 0) -> None:
        self.bus = bus
        self.org_id = org_id
        self.id = conversation_id
        self.seq = seq
        self.topic = f"conversation/{conversation_id}"
        self.forgotten = seq
        self._kept: deque[Entry] = deque()
        self._subject = LIVE_CONVERSATION.subject(org_id, conversation_id)

    async def play(self) -> None:
        """Answer in messaging's place: everybody may follow."""
        for subject, answer in (
            (operation_of(WatchConversation).subject, self._watched),
            (operation_of(CheckWatches).subject, self._checked),
        ):
            await self.bus.subscribe(subject, partial(self._reply, answer))

    def say(self, text: str) -> None:
        """A further message, as it is told when it has committed."""
        self.seq += 1
        message = Message(self.id, self.seq, _SPEAKER, _AT, text=text)
        entry = Entry(self.seq, _AT, "posted", _SPEAKER, message=message)
        self._kept.append(entry)
        self.bus.publish(self._subject, msgspec.json.encode(LiveConversation(entries=(entry,))))

    def forget(self, seq: int) -> None:
        """Keep nothing of what was said up to there."""
        while self._kept and self._kept[0].seq <= seq:
            self._kept.popleft()
        self.forgotten = seq

    def _reply(self, answer: Callable[[bytes], object], message: BusMessage) -> None:
        self.bus.publish(message.reply, msgspec.json.encode(answer(message.payload)))

    def _watched(self, payload: bytes) -> ConversationSnapshot:
        after = msgspec.json.decode(payload, type=WatchConversation).after
        conversation = Conversation(
            id=self.id,
            org_id=self.org_id,
            kind="group",
            name="",
            topic="",
            visibility="private",
            data_class="internal",
            created_by=_SPEAKER,
            created_at=_AT,
            head_seq=self.seq,
            last_at=_AT,
            responsible_id=_SPEAKER,
        )
        if after is None or after < self.forgotten:
            return ConversationSnapshot(conversation, self.seq, recovered=after is None)
        entries = tuple(islice(self._kept, after - self.forgotten, after - self.forgotten + PAGE))
        return ConversationSnapshot(conversation, after + len(entries), entries=entries)

    def _checked(self, payload: bytes) -> WatchedStates:
        del payload
        return WatchedStates((WatchedState(self.id, self.seq),))
