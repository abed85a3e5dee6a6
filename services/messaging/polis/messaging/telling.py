"""What is told live: entries of conversations that have committed, and what is never kept."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from polis.bus import BusError
from polis.proto.messaging import (
    LIVE_ANNOUNCEMENT,
    LIVE_CONVERSATION,
    LIVE_PRESENCE,
    Entry,
    LiveConversation,
    LivePresence,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from uuid import UUID

    from polis.bus import Bus
    from polis.proto.messaging import LiveAnnouncement, Message, Presence, StreamChange

_MOST_BYTES = 512 * 1024
"""Of one live message: the broker takes no more than twice that."""


class Telling:
    """Publishes on live subjects. Lossy: who hears a gap asks for what it missed.

    on_posted: called back with the org and the conversation in which something was posted.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._encoder = msgspec.json.Encoder()
        self.on_posted: list[Callable[[UUID, UUID], None]] = []

    def posted(self, said: Iterable[tuple[UUID, Message]]) -> None:
        """Messages that have committed, each with its org."""
        # Of numbers, for a UUID takes its time to be hashed.
        by_conversation: dict[tuple[int, int], tuple[UUID, UUID, list[Entry]]] = {}
        for org_id, made in said:
            place = (org_id.int, made.conversation_id.int)
            if place not in by_conversation:
                by_conversation[place] = (org_id, made.conversation_id, [])
            entry = Entry(made.seq, made.sent_at, "posted", made.sender_id, made)
            by_conversation[place][2].append(entry)
        for org_id, conversation_id, entries in by_conversation.values():
            self.entries(org_id, conversation_id, entries)
            for callback in self.on_posted:
                callback(org_id, conversation_id)

    def entries(self, org_id: UUID, conversation_id: UUID, entries: Sequence[Entry]) -> None:
        payload = self._encoder.encode(LiveConversation(entries=tuple(entries)))
        if len(payload) > _MOST_BYTES and len(entries) > 1:
            half = len(entries) // 2
            self.entries(org_id, conversation_id, entries[:half])
            self.entries(org_id, conversation_id, entries[half:])
            return
        self._publish(LIVE_CONVERSATION.subject(org_id, conversation_id), payload)

    def streams(self, org_id: UUID, conversation_id: UUID, *changes: StreamChange) -> None:
        self.tell(org_id, conversation_id, LiveConversation(streams=changes))

    def tell(self, org_id: UUID, conversation_id: UUID, told: LiveConversation) -> None:
        self._publish(LIVE_CONVERSATION.subject(org_id, conversation_id), self._encoder.encode(told))

    def presence(self, org_id: UUID, presence: Presence) -> None:
        self._publish(LIVE_PRESENCE.subject(org_id, org_id), self._encoder.encode(LivePresence(presence)))

    def announcement(self, org_id: UUID, told: LiveAnnouncement) -> None:
        self._publish(LIVE_ANNOUNCEMENT.subject(org_id, org_id), self._encoder.encode(told))

    def _publish(self, subject: str, payload: bytes) -> None:
        with suppress(BusError):
            self._bus.publish(subject, payload)
