"""Topics that are each follower's own list: what they may answer (inbox.py), what they take part in (participations.py).

What is in one is its owner's to say, so it is read there whenever an event tells that it may have changed, and now and then
besides; what differs is told. Who comes back gets it anew.
"""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from uuid import UUID

from polis.gateway.channels import Channel
from polis.proto.contract import event_type_of
from polis.service.envelope import NotAnEvent, decode

if TYPE_CHECKING:
    from polis.bus import Message
    from polis.gateway.audience import Thing
    from polis.gateway.channels import Channels, Hear
    from polis.proto import Event
    from polis.service import Actor, Kernel

TOGETHER_S = 0.05
"""What comes within this is read at once."""
T = TypeVar("T")


class ListChannel(Channel["ListWatch[Any]"]):
    """The events of one org that may change such lists."""

    def __init__(self, kernel: Kernel, org_id: UUID, heard: tuple[type[Event], ...]) -> None:
        super().__init__(kernel, org_id)
        self._heard = heard

    def subjects(self) -> dict[str, Hear]:
        types = map(event_type_of, self._heard)
        return {f"event.{type_.service}.{type_.fact}.{self.org_id}.*": self._on_message for type_ in types}

    def _on_message(self, message: Message) -> None:
        try:
            event = decode(message.headers, message.payload)
        except NotAnEvent:
            return
        for watch in tuple(self.watches):
            watch.hear(event)


class ListWatch(ABC, Generic[T]):
    """One client following a list of its own. actor: who that is by now. quiet_s: when nothing is heard for so long, it is read anyway."""

    quiet_s: float

    def __init__(
        self, kernel: Kernel, channels: Channels[ListWatch[Any]], actor: Callable[[], Actor]
    ) -> None:
        self.kernel = kernel
        self.actor = actor
        self.known: Mapping[UUID, T] = {}
        self.last = 1
        self._channels = channels
        self._heard = asyncio.Event()

    # What it is of

    @abstractmethod
    async def read(self) -> tuple[dict[UUID, T], bool]:
        """The list as it is, and whether there is more than is followed. Refused for who may not see it."""

    @abstractmethod
    def concerns(self, event: Event) -> bool:
        """Whether an event may change this list."""

    @abstractmethod
    def snapshot(self, seq: int, items: tuple[T, ...], *, more: bool) -> Thing:
        """What it begins with."""

    @abstractmethod
    def change(self, seq: int, item: T | None, left: UUID | None) -> Thing:
        """One that came or changed, or the id of one that has left."""

    def is_gone(self, item: T, now: Mapping[UUID, T], *, more: bool) -> bool:  # noqa: ARG002
        """Whether one that is not read any more has left the list, and not only what is followed of it."""
        return True

    # Following

    async def __aenter__(self) -> Thing:
        """Listen first, then read: nothing falls between."""
        self._channel = await self._channels.join(self.actor().org_id, self)
        try:
            self.known, more = await self.read()
        except BaseException:
            await self.__aexit__()
            raise
        return self.snapshot(self.last, tuple(self.known.values()), more=more)

    async def __aexit__(self, *error: object) -> None:
        self._channels.leave(self._channel, self)

    def hear(self, event: Event) -> None:
        """Something was told; never waits."""
        if self.concerns(event):
            self._heard.set()

    async def next(self) -> tuple[Thing, ...]:
        """What has changed since the last time, at least one."""
        while True:
            try:
                # Those who came together, as behind a restart, do not all read at once for ever.
                async with asyncio.timeout(self.quiet_s * random.uniform(0.6, 1.0)):  # noqa: S311 - no secret
                    await self._heard.wait()
            except TimeoutError:
                pass
            else:
                await asyncio.sleep(TOGETHER_S)
            self._heard.clear()
            now, more = await self.read()
            if changes := self._compare(now, more=more):
                return changes

    def _compare(self, now: dict[UUID, T], *, more: bool) -> tuple[Thing, ...]:
        before, self.known = self.known, now
        gone = [key for key, item in before.items() if key not in now and self.is_gone(item, now, more=more)]
        told: list[tuple[T | None, UUID | None]] = [(None, key) for key in gone]
        told += [(item, None) for key, item in now.items() if before.get(key) != item]
        start = self.last + 1
        self.last += len(told)
        return tuple(self.change(start + n, item, left) for n, (item, left) in enumerate(told))
