"""Who is about: known to every process of the service, kept nowhere, and over by itself when nobody tells it again."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from time import time
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.bus import BusError
from polis.proto.messaging import PRESENCE_S, LiveConversation, Presence
from polis.service.passing import Passing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from polis.bus import Message
    from polis.messaging.telling import Telling
    from polis.proto.messaging import PresenceState
    from polis.service import Kernel

SUBJECT = "peer.messaging.presence"
"""Theirs alone by the broker's permissions."""
_MOST = 100_000
TOLD_IN = 50
"""Conversations in which somebody's presence is told: those where something happened last."""


class _About(Struct, frozen=True):
    org_id: UUID
    presence: Presence


class Presences:
    """What this process knows of who is about."""

    def __init__(self, kernel: Kernel, telling: Telling) -> None:
        self._bus = kernel.bus
        self._database = kernel.database
        self._telling = telling
        self._known: Passing[tuple[UUID, UUID], Presence] = Passing(_is_over, most=_MOST)
        self._decoder = msgspec.json.Decoder(_About)

    async def listen(self) -> None:
        await self._bus.subscribe(SUBJECT, self._on_message)

    async def say(self, org_id: UUID, principal_id: UUID, state: PresenceState, doing: str) -> Presence:
        """Let the others know, and those who share a conversation with this one."""
        until = datetime.now(UTC) + timedelta(seconds=0 if state == "offline" else PRESENCE_S)
        presence = Presence(principal_id, state, until, doing)
        self._keep(org_id, presence)
        with suppress(BusError):
            self._bus.publish(SUBJECT, msgspec.json.encode(_About(org_id, presence)))
        self._telling.presence(org_id, presence)
        told = LiveConversation(presence=(presence,))
        for conversation_id in await self.shared(org_id, principal_id):
            self._telling.tell(org_id, conversation_id, told)
        return presence

    def of(self, org_id: UUID, principal_ids: Iterable[UUID]) -> tuple[Presence, ...]:
        """Who of these is about."""
        now = datetime.now(UTC)
        known = (self._known.get((org_id, each)) for each in principal_ids)
        return tuple(each for each in known if each is not None and each.until > now)

    async def shared(self, org_id: UUID, principal_id: UUID) -> list[UUID]:
        """The conversations in which somebody's presence is told."""
        return await self._database.tenant(org_id).rows(
            UUID,
            """
            select c.id from messaging.participants p
            cross join lateral (
                select o.* from messaging.conversations o
                where o.org_id = p.org_id and o.id = p.conversation_id offset 0
            ) c
            where p.org_id = $1 and p.principal_id = $2 and p.state = 'joined' and c.archived_at is null
            order by c.last_at desc limit $3
            """,
            org_id,
            principal_id,
            TOLD_IN,
        )

    def _on_message(self, message: Message) -> None:
        try:
            about = self._decoder.decode(message.payload)
        except msgspec.DecodeError:
            return  # of another version
        self._keep(about.org_id, about.presence)

    def _keep(self, org_id: UUID, presence: Presence) -> None:
        self._known.keep((org_id, presence.principal_id), presence, time())


def _is_over(presence: Presence, now: float) -> bool:
    return presence.until.timestamp() <= now
