"""The topics `org` and `agent/<agent>`: what happens in an org, or to an agent and by it, for whoever may read what it happens to.

The contract says which events are shown, and by which scope. They are heard as they are published and kept by nobody here:
who was cut off reads what it cares for, and begins anew. Announcements are told beside them, to those they are for.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw, Struct

from polis.gateway.channels import Channel
from polis.gateway.slow import Slow
from polis.proto import Refused
from polis.proto.contract import events
from polis.proto.identity import GetAgent
from polis.proto.live import ANNOUNCED, ANNOUNCED_SCOPE, OrgEvent, OrgSnapshot
from polis.proto.messaging import LIVE_ANNOUNCEMENT, LiveAnnouncement
from polis.proto.problems import Forbidden, SecondFactorMissing

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from polis.bus import Message
    from polis.gateway.channels import Channels, Hear
    from polis.proto.contract import EventType
    from polis.proto.identity import AgentRef
    from polis.service import Actor, Kernel

_PENDING = 1_000
_AT_ONCE = 100
_RECENT = 256
"""Events that were heard last: one that is published anew behind a crash is told once."""
_LOOK_S = 5.0
"""How often it is looked whether somebody may still be told anything, while nothing happens."""


class _About(Struct, frozen=True):
    """Whom an event says that it is about: an agent itself, who a run acts as, or whom something was told of."""

    agent_id: object = None
    actor_id: object = None
    agent: object = None


_about = msgspec.json.Decoder(_About)
_announced = msgspec.json.Decoder(LiveAnnouncement)


class OrgChannel(Channel["OrgWatch"]):
    """The events of one org that are shown, and its announcements."""

    def __init__(self, kernel: Kernel, org_id: UUID) -> None:
        super().__init__(kernel, org_id)
        self._recent: deque[str] = deque(maxlen=_RECENT)

    def subjects(self) -> dict[str, Hear]:
        shown = {
            f"event.{event.service}.{event.fact}.{self.org_id}.*": self._hearing(event)
            for event in events()
            if event.shown
        }
        return shown | {LIVE_ANNOUNCEMENT.subject(self.org_id, self.org_id): self._hear_announced}

    def _hearing(self, event: EventType) -> Callable[[Message], None]:
        kind, scope = _kind(event), event.shown

        def hear(message: Message) -> None:
            headers = message.headers
            event_id = headers.get("ce-id", "")
            if event_id in self._recent:
                return
            self._recent.append(event_id)
            payload = bytes(message.payload)
            told = OrgEvent(0, event_id, headers.get("ce-time", ""), kind, Raw(payload))
            about = _about.decode(payload)
            for watch in tuple(self.watches):
                if watch.concerns(about):
                    watch.offer(told, scope)

        return hear

    def _hear_announced(self, message: Message) -> None:
        said = _announced.decode(message.payload)
        made = said.announcement
        at = msgspec.to_builtins(made.announced_at)
        told = OrgEvent(0, str(made.id), at, ANNOUNCED, Raw(msgspec.json.encode(made)))
        for watch in tuple(self.watches):
            if watch.hears_announced and watch.principal_id not in said.except_for:
                watch.offer(told, ANNOUNCED_SCOPE)


class OrgWatch:
    """One client following what happens in its org. actor: who that is by now."""

    hears_announced = True

    def __init__(self, channels: Channels[OrgWatch], actor: Callable[[], Actor]) -> None:
        self._channels = channels
        self._actor = actor
        self._told: asyncio.Queue[OrgEvent] = asyncio.Queue(_PENDING)
        self._slow = False
        self.last = 0

    async def __aenter__(self) -> OrgSnapshot:
        """Refused(Forbidden) for whoever may be told nothing."""
        self._demand()
        actor = self._actor()
        self._channel = await self._channels.join(actor.org_id, self)
        return OrgSnapshot(0, tuple(sorted(k for k, scope in self._shown().items() if scope in actor.scopes)))

    async def __aexit__(self, *error: object) -> None:
        self._channels.leave(self._channel, self)

    @property
    def principal_id(self) -> UUID:
        return self._actor().principal_id

    def concerns(self, about: _About) -> bool:  # noqa: ARG002
        """Whether what is about this is followed here."""
        return True

    def offer(self, told: OrgEvent, scope: str) -> None:
        """Take what was heard, if it may be told; never waits."""
        if scope not in self._actor().scopes:
            return
        try:
            self._told.put_nowait(told)
        except asyncio.QueueFull:
            self._slow = True

    async def next(self) -> tuple[OrgEvent, ...]:
        """What has happened since the last time, at least one."""
        while True:
            try:
                async with asyncio.timeout(_LOOK_S):
                    found = [await self._told.get()]
            except TimeoutError:
                self._demand()
                continue
            if self._slow:
                raise Slow
            while len(found) < _AT_ONCE and not self._told.empty():
                found.append(self._told.get_nowait())
            start = self.last + 1
            self.last += len(found)
            return tuple(
                OrgEvent(start + n, each.id, each.at, each.kind, each.data) for n, each in enumerate(found)
            )

    def _demand(self) -> None:
        actor, scopes = self._actor(), set(self._shown().values())
        if actor.unproved:
            raise Refused(SecondFactorMissing())
        if not scopes & actor.scopes:
            raise Refused(Forbidden(scope=min(scopes)))

    def _shown(self) -> dict[str, str]:
        """What may be told, by kind, and by which scope it is."""
        shown = {_kind(event): event.shown for event in events() if event.shown}
        return shown | ({ANNOUNCED: ANNOUNCED_SCOPE} if self.hears_announced else {})


class AgentWatch(OrgWatch):
    """One client following what happens to an agent, and what runs do as it. agent: its id, key or number."""

    hears_announced = False

    def __init__(
        self, kernel: Kernel, channels: Channels[OrgWatch], actor: Callable[[], Actor], agent: AgentRef
    ) -> None:
        super().__init__(channels, actor)
        self._kernel = kernel
        self._agent = agent
        self._names: tuple[str, ...] = ()

    async def __aenter__(self) -> OrgSnapshot:
        """Refused(AgentNotFound, Forbidden) for whoever may not read the agent."""
        actor = self._actor()
        found = await self._kernel.caller.call(
            GetAgent(agent=self._agent), token=actor.token, org=str(actor.org_id)
        )
        self._names = (str(found.id), found.key, str(found.number))
        return await super().__aenter__()

    def concerns(self, about: _About) -> bool:
        return self._names[0] in (about.agent_id, about.actor_id) or about.agent in self._names


def _kind(event: EventType) -> str:
    return f"{event.service}.{event.fact}"
