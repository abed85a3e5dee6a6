"""The topic `asks`: what somebody may answer, as it is and as it changes.

Who may answer what is the runtime's to say, by name, role or grant, so an inbox is read there whenever an event tells that
something in it may have changed, and now and then besides; what differs is told. A client that comes back gets it anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import UUID

from polis.gateway.channels import Channel
from polis.proto.contract import event_type_of
from polis.proto.runtime import (
    Ask,
    AskAnswered,
    AskDelegated,
    AskEscalated,
    AskExpired,
    AskOpened,
    AskWithdrawn,
    InboxChange,
    InboxSnapshot,
    ListAsks,
)
from polis.service.envelope import NotAnEvent, decode

if TYPE_CHECKING:
    from polis.bus import Message
    from polis.gateway.channels import Channels, Hear
    from polis.proto import Event
    from polis.service import Actor, Kernel

MOST = 200
"""Asks of an inbox that are followed: the newest."""
QUIET_S = 30.0
"""An inbox of which nothing was heard for this long is read again: an event may have been missed, or a grant given."""
TOGETHER_S = 0.05
"""What comes within this is read at once."""
_HEARD = (AskOpened, AskAnswered, AskExpired, AskWithdrawn, AskDelegated, AskEscalated)


class InboxChannel(Channel["InboxWatch"]):
    """The events about asks of one org."""

    def subjects(self) -> dict[str, Hear]:
        return {
            f"event.runtime.{event_type_of(kind).fact}.{self.org_id}.*": self._on_message for kind in _HEARD
        }

    def _on_message(self, message: Message) -> None:
        try:
            event = decode(message.headers, message.payload)
        except NotAnEvent:
            return
        for watch in tuple(self.watches):
            watch.hear(event)


class InboxWatch:
    """One client following what it may answer. actor: who that is by now."""

    def __init__(self, kernel: Kernel, channels: Channels[InboxWatch], actor: Callable[[], Actor]) -> None:
        self._kernel = kernel
        self._channels = channels
        self._actor = actor
        self._heard = asyncio.Event()
        self._known: dict[UUID, Ask] = {}
        self.last = 1

    async def __aenter__(self) -> InboxSnapshot:
        """Listen first, then read: nothing falls between. Refused for whoever may not answer."""
        self._channel = await self._channels.join(self._actor().org_id, self)
        try:
            self._known, more = await self._read()
        except BaseException:
            await self.__aexit__()
            raise
        return InboxSnapshot(self.last, tuple(self._known.values()), more)

    async def __aexit__(self, *error: object) -> None:
        self._channels.leave(self._channel, self)

    def hear(self, event: Event) -> None:
        """Something was told of an ask; never waits."""
        if self._concerns(event):
            self._heard.set()

    async def next(self) -> tuple[InboxChange, ...]:
        """What has changed since the last time, at least one."""
        while True:
            try:
                async with asyncio.timeout(QUIET_S):
                    await self._heard.wait()
            except TimeoutError:
                pass
            else:
                await asyncio.sleep(TOGETHER_S)
            self._heard.clear()
            now, _ = await self._read()
            changes = self._compare(now)
            if changes:
                return changes

    def _concerns(self, event: Event) -> bool:
        """Whether an event may change this inbox: it is of an ask in it, or addresses somebody who may be this one."""
        if getattr(event, "ask_id", None) in self._known:
            return True
        actor, to = self._actor(), getattr(event, "to", ())
        return any(
            addressee.kind == "grant" or addressee.id == actor.principal_id or addressee.role == actor.role
            for addressee in (to if isinstance(to, tuple) else (to,))
        )

    def _compare(self, now: dict[UUID, Ask]) -> tuple[InboxChange, ...]:
        before, self._known = self._known, now
        told = [InboxChange(0, left=ask_id) for ask_id in before if ask_id not in now]
        told += [InboxChange(0, ask=ask) for ask_id, ask in now.items() if before.get(ask_id) != ask]
        start = self.last + 1
        self.last += len(told)
        return tuple(InboxChange(start + n, each.ask, each.left) for n, each in enumerate(told))

    async def _read(self) -> tuple[dict[UUID, Ask], bool]:
        actor = self._actor()
        page = await self._kernel.caller.call(ListAsks(limit=MOST), token=actor.token, org=str(actor.org_id))
        return {ask.id: ask for ask in page.items}, page.next_cursor is not None
