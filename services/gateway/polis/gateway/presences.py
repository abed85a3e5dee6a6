"""The topic `presence`: who is about of those who share a conversation with whoever follows.

Who that is, is messaging's to say: it is asked at the beginning, whenever somebody comes into a conversation or leaves it,
and every half minute. What is told of an org's people comes on one subject, and goes to those alone who may know.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from polis.gateway.channels import Channel
from polis.proto.contract import event_type_of
from polis.proto.messaging import (
    LIVE_PRESENCE,
    LivePresence,
    ParticipantChanged,
    Presence,
    PresenceChange,
    PresenceSnapshot,
    WatchPresence,
)
from polis.service.envelope import NotAnEvent, decode

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from polis.bus import Message
    from polis.gateway.channels import Channels, Hear
    from polis.service import Actor, Kernel

_AGAIN_S = 30.0
_TOGETHER_S = 0.075
"""What is told of somebody within this is told once, as it is then."""
_decoder = msgspec.json.Decoder(LivePresence)


class PresenceChannel(Channel["PresenceWatch"]):
    """What is told of an org's people."""

    def subjects(self) -> dict[str, Hear]:
        org_id = self.org_id
        return {
            LIVE_PRESENCE.subject(org_id, org_id): self._hear,
            f"event.messaging.{event_type_of(ParticipantChanged).fact}.{org_id}.*": self._hear_of_change,
        }

    def _hear(self, message: Message) -> None:
        presence = _decoder.decode(message.payload).presence
        for watch in tuple(self.watches):
            watch.offer(presence)

    def _hear_of_change(self, message: Message) -> None:
        """Somebody came into a conversation, or left it."""
        try:
            event = decode(message.headers, message.payload)
        except NotAnEvent:
            return
        if isinstance(event, ParticipantChanged):
            for watch in tuple(self.watches):
                watch.doubt(event.conversation_id, event.principal_id)


class PresenceWatch:
    """One client that follows. actor: who that is by now."""

    def __init__(self, kernel: Kernel, channels: Channels[PresenceWatch], actor: Callable[[], Actor]) -> None:
        self._kernel = kernel
        self._channels = channels
        self._actor = actor
        self._near: frozenset[UUID] = frozenset()
        self._shared: frozenset[UUID] = frozenset()
        self._told: dict[UUID, Presence] = {}
        self._heard = asyncio.Event()
        self._again_at = 0.0
        self._began = False
        self.last = 0

    async def __aenter__(self) -> PresenceSnapshot:
        """Listen first, then read. Refused for whoever may read no conversation."""
        self._channel = await self._channels.join(self._actor().org_id, self)
        try:
            return await self._read()
        except BaseException:
            await self.__aexit__()
            raise

    async def __aexit__(self, *error: object) -> None:
        self._channels.leave(self._channel, self)

    def offer(self, presence: Presence) -> None:
        """Take what was heard of somebody near; of each the last, so it is bounded by how many those are."""
        if presence.principal_id in self._near:
            self._told[presence.principal_id] = presence
            self._heard.set()

    def doubt(self, conversation_id: UUID, principal_id: UUID) -> None:
        """Who is near may be another by now: it is asked again at once."""
        if conversation_id in self._shared or principal_id == self._actor().principal_id:
            self._again_at = 0.0
            self._heard.set()

    async def next(self) -> tuple[PresenceChange, ...]:
        """Who is about otherwise since the last time, at least one."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._again_at or None):
                    await self._heard.wait()
                    await asyncio.sleep(_TOGETHER_S)
            self._heard.clear()
            if asyncio.get_running_loop().time() >= self._again_at:
                await self._read()
            told = [each for each in self._told.values() if each.principal_id in self._near]
            self._told.clear()
            if told:
                start = self.last + 1
                self.last += len(told)
                return tuple(PresenceChange(start + n, each) for n, each in enumerate(told))

    async def _read(self) -> PresenceSnapshot:
        actor = self._actor()
        found = await self._kernel.caller.call(WatchPresence(), token=actor.token, org=str(actor.org_id))
        before, self._near = self._near, frozenset(found.principal_ids)
        self._shared = frozenset(found.conversation_ids)
        self._again_at = asyncio.get_running_loop().time() + _AGAIN_S
        if self._began:  # who came near is told as they are
            self._told |= {
                each.principal_id: each for each in found.presences if each.principal_id not in before
            }
        self._began = True
        return found
