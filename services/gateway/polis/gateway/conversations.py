"""The topic `conversation/<id>`: what is said there, exact by the conversation's own numbers; typing, presence and marks beside it.

Entries are taken from the live subject, which hears of them when they have committed. Those that come out of order are held
for a moment; what is missing is read from messaging, which also authorises each watcher. Every few seconds one question
for all watched conversations tells of a lost last entry, and of watchers who may watch no more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from polis.gateway.slow import Slow
from polis.proto import Refused
from polis.proto.messaging import (
    LIVE_CONVERSATION,
    CheckWatches,
    ConversationChange,
    ConversationSnapshot,
    Entry,
    LiveConversation,
    WatchConversation,
    Watched,
    WatchedState,
)
from polis.telemetry import log

if TYPE_CHECKING:
    from polis.bus import Message
    from polis.bus import Subscription as BusSubscription
    from polis.service import Actor, Kernel

CHECK_S = 2.0
"""How often it is asked what is true of all that is watched: as late is a lost last entry, or a lost grant, noticed."""
HOLD_S = 0.05
"""How long entries that came too early are held before what is missing is read."""
_PENDING = 1_000
_ASKED_AT_ONCE = 200
_WATCHERS_AT_ONCE = 5_000


class ConversationChannel:
    """The live subject of one conversation, shared by its watchers in this process."""

    def __init__(self, kernel: Kernel, org_id: UUID, conversation_id: UUID) -> None:
        self.org_id = org_id
        self.conversation_id = conversation_id
        self.watches: set[ConversationWatch] = set()
        self._kernel = kernel
        self._subscription: BusSubscription | None = None
        self._joining = asyncio.Lock()

    async def join(self, watch: ConversationWatch) -> None:
        self.watches.add(watch)
        async with self._joining:
            if self._subscription is None:
                subject = LIVE_CONVERSATION.subject(self.org_id, self.conversation_id)
                self._subscription = await self._kernel.bus.subscribe(subject, self._on_message)

    def leave(self, watch: ConversationWatch) -> bool:
        """True when that was the last one."""
        self.watches.discard(watch)
        if not self.watches and self._subscription is not None:
            self._subscription.unsubscribe()
            self._subscription = None
        return not self.watches

    def learn(self, state: WatchedState) -> None:
        """What messaging says of it by now."""
        lost = set(state.lost)
        for watch in tuple(self.watches):
            if watch.principal_id in lost or state.seq > watch.last:
                watch.look_again()

    def _on_message(self, message: Message) -> None:
        told = _decoder.decode(message.payload)
        for watch in tuple(self.watches):
            watch.offer(told)


_decoder = msgspec.json.Decoder(LiveConversation)


class ConversationChannels:
    """The conversations that somebody watches now, and the question that is asked of all of them."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._channels: dict[tuple[UUID, UUID], ConversationChannel] = {}
        self._asking: asyncio.Task[None] | None = None

    async def join(self, watch: ConversationWatch, org_id: UUID) -> ConversationChannel:
        key = (org_id, watch.conversation_id)
        channel = self._channels.setdefault(key, ConversationChannel(self._kernel, *key))
        if self._asking is None or self._asking.done():
            self._asking = self._kernel.tasks.start(self._ask(), name="watches")
        try:
            await channel.join(watch)
        except BaseException:
            self.leave(channel, watch)
            raise
        return channel

    def leave(self, channel: ConversationChannel, watch: ConversationWatch) -> None:
        key = (channel.org_id, channel.conversation_id)
        if channel.leave(watch) and self._channels.get(key) is channel:
            del self._channels[key]

    async def _ask(self) -> None:
        """For as long as anything is watched."""
        while self._channels:
            await asyncio.sleep(CHECK_S)
            for channels in _batches(list(self._channels.values())):
                try:
                    await self._ask_of(channels)
                except Refused as refusal:
                    log.warning("watches.unasked", problem=refusal.problem.type)

    async def _ask_of(self, channels: list[ConversationChannel]) -> None:
        watched = tuple(
            Watched(
                channel.org_id,
                channel.conversation_id,
                tuple({watch.principal_id for watch in channel.watches}),
            )
            for channel in channels
        )
        token = await self._kernel.keys.own_token()
        found = await self._kernel.caller.call(CheckWatches(watched=watched), token=token)
        for channel, state in zip(channels, found.states, strict=True):
            channel.learn(state)


def _batches(channels: list[ConversationChannel]) -> list[list[ConversationChannel]]:
    """So many at a time that neither their number nor that of their watchers makes a question too large."""
    batches: list[list[ConversationChannel]] = []
    watchers = _WATCHERS_AT_ONCE
    for channel in channels:
        if watchers >= _WATCHERS_AT_ONCE or len(batches[-1]) >= _ASKED_AT_ONCE:
            batches.append([])
            watchers = 0
        batches[-1].append(channel)
        watchers += len(channel.watches)
    return batches


class ConversationWatch:
    """One client following one conversation: a snapshot, then every entry once and in order. actor: who that is by now."""

    event = "change"

    def __init__(
        self,
        kernel: Kernel,
        channels: ConversationChannels,
        actor: Callable[[], Actor],
        conversation_id: UUID,
        after: int | None,
    ) -> None:
        self._kernel = kernel
        self._channels = channels
        self._actor = actor
        self._after = after
        self._told: asyncio.Queue[LiveConversation | None] = asyncio.Queue(_PENDING)
        self._early: dict[int, Entry] = {}
        self._held_since = 0.0
        self._slow = False
        self._look = False
        self.principal_id = actor().principal_id
        self.conversation_id = conversation_id
        self.last = 0

    async def __aenter__(self) -> ConversationSnapshot:
        """Listen first, then read: nothing falls between. Refused when messaging does not let the actor see it."""
        self._channel = await self._channels.join(self, self._actor().org_id)
        try:
            snapshot = await self._read(self._after)
        except BaseException:
            self._channels.leave(self._channel, self)
            raise
        self.last = snapshot.seq
        self._look = snapshot.seq < snapshot.conversation.head_seq
        return snapshot

    async def __aexit__(self, *error: object) -> None:
        self._channels.leave(self._channel, self)

    def offer(self, told: LiveConversation) -> None:
        """Take what came on the live subject; never waits."""
        try:
            self._told.put_nowait(told)
        except asyncio.QueueFull:
            self._slow = True

    def look_again(self) -> None:
        """Something may be missing, or may not be watched any more; never waits."""
        self._look = True
        if self._told.empty():
            self._told.put_nowait(None)

    async def next(self) -> tuple[ConversationChange, ...]:
        """What has changed since the last time, at least one. Refused once the actor may not watch it any more."""
        while True:
            if self._slow:
                raise Slow
            changes = await self._missing() if self._look else await self._heard()
            if changes:
                return changes

    async def _heard(self) -> tuple[ConversationChange, ...]:
        told = await self._next_told()
        if told is None:
            return ()
        held = bool(self._early)
        self._early.update((entry.seq, entry) for entry in told.entries if entry.seq > self.last)
        changes = self._in_order()
        if not held:
            self._held_since = time.monotonic()
        changes += [ConversationChange(self.last, typing=each) for each in told.typing]
        changes += [ConversationChange(self.last, presence=each) for each in told.presence]
        changes += [ConversationChange(self.last, mark=each) for each in told.marks]
        return tuple(changes)

    async def _next_told(self) -> LiveConversation | None:
        """The next that comes; None when it is time to read what is missing."""
        if not self._early:
            return await self._told.get()
        try:
            async with asyncio.timeout(max(0.0, self._held_since + HOLD_S - time.monotonic())):
                return await self._told.get()
        except TimeoutError:
            self._look = True
            return None

    def _in_order(self) -> list[ConversationChange]:
        """What follows the last entry without a gap; the rest is held."""
        changes = []
        while (entry := self._early.pop(self.last + 1, None)) is not None:
            changes.append(self._change(entry))
        return changes

    def _change(self, entry: Entry) -> ConversationChange:
        self.last = entry.seq
        someone = entry.participant
        if someone is not None and someone.principal_id == self.principal_id and someone.state != "joined":
            self._look = True  # whether it may still be watched is messaging's to say
        return ConversationChange(entry.seq, entry=entry)

    async def _missing(self) -> tuple[ConversationChange, ...]:
        """What messaging has behind the last entry. Refused for who may see it no more."""
        self._look = False
        snapshot = await self._read(self.last)
        if snapshot.seq > self.last and not snapshot.entries:
            raise Slow  # too much was missed to tell it one by one
        changes = [self._change(entry) for entry in snapshot.entries if entry.seq > self.last]
        self._look = self._look or snapshot.seq < snapshot.conversation.head_seq
        self._early = {seq: entry for seq, entry in self._early.items() if seq > self.last}
        self._held_since = time.monotonic()
        return tuple(changes + self._in_order())

    async def _read(self, after: int | None) -> ConversationSnapshot:
        actor = self._actor()
        request = WatchConversation(conversation_id=self.conversation_id, after=after)
        return await self._kernel.caller.call(request, token=actor.token, org=str(actor.org_id))
