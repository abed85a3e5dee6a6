"""What is told of an org, heard once for all in this process who follow it."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from uuid import UUID

    from polis.bus import Message
    from polis.bus import Subscription as BusSubscription
    from polis.service import Kernel

W = TypeVar("W")
Hear = Callable[["Message"], None]


class Channel(ABC, Generic[W]):
    """It listens from the first that comes until the last that leaves."""

    def __init__(self, kernel: Kernel, org_id: UUID) -> None:
        self.org_id = org_id
        self.watches: set[W] = set()
        self._bus = kernel.bus
        self._subscriptions: list[BusSubscription] = []
        self._joining = asyncio.Lock()

    @abstractmethod
    def subjects(self) -> Mapping[str, Hear]:
        """What is heard, and who takes it; the same at each call."""

    async def join(self, watch: W) -> None:
        """When this returns, everything is heard. Where one failed on the way, the next goes on."""
        self.watches.add(watch)
        async with self._joining:
            for subject, hear in list(self.subjects().items())[len(self._subscriptions) :]:
                self._subscriptions.append(await self._bus.subscribe(subject, hear))

    def leave(self, watch: W) -> None:
        self.watches.discard(watch)
        if not self.watches:
            for subscription in self._subscriptions:
                subscription.unsubscribe()
            self._subscriptions = []


class Channels(Generic[W]):
    """Those of one topic, by org, for as long as somebody follows."""

    def __init__(self, make: Callable[[UUID], Channel[W]]) -> None:
        self._make = make
        self._open: dict[UUID, Channel[W]] = {}

    async def join(self, org_id: UUID, watch: W) -> Channel[W]:
        """The org's channel, on which the watch is told what is heard from now on."""
        channel = self._open.get(org_id)
        if channel is None:
            channel = self._open[org_id] = self._make(org_id)
        try:
            await channel.join(watch)
        except BaseException:
            self.leave(channel, watch)
            raise
        return channel

    def leave(self, channel: Channel[W], watch: W) -> None:
        channel.leave(watch)
        if not channel.watches and self._open.get(channel.org_id) is channel:
            del self._open[channel.org_id]
