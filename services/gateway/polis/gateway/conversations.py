"""The topic `conversation/<id>`: what is said there, exact by the conversation's own numbers; typing, presence, marks and streams beside it.

Entries are taken from the live subject, which hears of them when they have committed. What is missing is read from messaging,
which also authorises each follower. Every few seconds one question for all followed conversations tells of a lost last
entry, and of followers who may follow no more.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Raw

from polis.gateway.feeds import Feed
from polis.gateway.heard import HeardEntry, heard
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
    from collections.abc import Hashable, Sequence

    from polis.bus import Message
    from polis.gateway.audience import Thing, Turn
    from polis.service import Actor, Kernel

CHECK_S = 2.0
"""How often it is asked what is true of all that is followed: as late is a lost last entry, or a lost grant, noticed."""
STATE_S = 0.075
"""States are told so often and no oftener: of each the last."""
_ASKED_AT_ONCE = 200
_FOLLOWERS_AT_ONCE = 5_000


class ConversationFeed(Feed):
    """One conversation, for all who follow it here."""

    def __init__(
        self,
        conversations: ConversationFeeds,
        kernel: Kernel,
        turn: Turn,
        org_id: UUID,
        conversation_id: UUID,
    ) -> None:
        self.org_id = org_id
        self.conversation_id = conversation_id
        subject = LIVE_CONVERSATION.subject(org_id, conversation_id)
        super().__init__(kernel, turn, subject, lambda: conversations.forget(self))
        self._states: dict[Hashable, ConversationChange] = {}
        self._stated_at = 0.0
        self._state_timer: asyncio.TimerHandle | None = None

    async def read(self, actor: Actor, after: int | None) -> ConversationSnapshot:
        request = WatchConversation(conversation_id=self.conversation_id, after=after)
        return await self.kernel.caller.call(request, token=actor.token, org=str(actor.org_id))

    def things(self, snapshot: ConversationSnapshot) -> Sequence[ConversationChange]:
        return [ConversationChange(entry.seq, entry=entry) for entry in snapshot.entries]

    def more(self, snapshot: ConversationSnapshot) -> bool:
        return snapshot.seq < snapshot.conversation.head_seq

    def over(self, snapshot: ConversationSnapshot) -> bool:  # noqa: ARG002
        return False

    def ends(self, thing: Thing) -> bool:  # noqa: ARG002
        return False

    def loses(self, thing: Thing) -> UUID | None:
        said = thing.entry if isinstance(thing, ConversationChange) else thing
        someone = said.participant if isinstance(said, (Entry, HeardEntry)) else None
        return None if someone is None or someone.state == "joined" else someone.principal_id

    def check(self, state: WatchedState) -> None:
        """What messaging says of it by now."""
        self.learn(state.seq)
        for principal_id in state.lost:
            self.doubt(principal_id)

    def hear(self, message: Message) -> None:
        told = _decoder.decode(message.payload)
        if told.entries:
            entries = [heard(entry) for entry in told.entries]
            if self._states:
                for entry in entries:
                    self._states.pop(("typing", entry.actor_id), None)  # they have said it
            self.told(entries)
        if told.streams:
            self.pass_by([ConversationChange(self.last or 0, stream=each) for each in told.streams])
        if self.last is None:
            return
        last = self.last
        for typing in told.typing:
            self._state(("typing", typing.principal_id), ConversationChange(last, typing=typing))
        for presence in told.presence:
            self._state(("presence", presence.principal_id), ConversationChange(last, presence=presence))
        for mark in told.marks:
            self._state(("mark", mark.principal_id), ConversationChange(last, mark=mark))

    def _state(self, key: Hashable, change: ConversationChange) -> None:
        """States replace each other, so that of many in a moment only the last is told."""
        self._states.pop(key, None)
        self._states[key] = change
        if self._state_timer is None:
            wait_s = self._stated_at + STATE_S - self._loop.time()
            self._state_timer = self._loop.call_later(max(0.0, wait_s), self._tell_states)

    def _tell_states(self) -> None:
        self._state_timer = None
        self._stated_at = self._loop.time()
        states, self._states = self._states, {}
        if states and self.last is not None:
            last = self.last
            self.pass_by([msgspec.structs.replace(change, seq=last) for change in states.values()])

    def _close(self) -> None:
        if self._state_timer is not None:
            self._state_timer.cancel()
        super()._close()


class _Live(LiveConversation, frozen=True):
    """The same with its entries as they came."""

    entries: tuple[Raw, ...] = ()  # type: ignore[assignment] # read as far as it is needed, in `heard`


_decoder = msgspec.json.Decoder(_Live)


class ConversationFeeds:
    """The conversations that somebody follows now, and the question that is asked of all of them."""

    def __init__(self, kernel: Kernel, turn: Turn) -> None:
        self._kernel = kernel
        self._turn = turn
        self._feeds: dict[tuple[UUID, UUID], ConversationFeed] = {}
        self._asking: asyncio.Task[None] | None = None

    def feed(self, org_id: UUID, conversation_id: UUID) -> ConversationFeed:
        """The one of this conversation, to be followed at once."""
        key = (org_id, conversation_id)
        feed = self._feeds.get(key)
        if feed is None:
            feed = self._feeds[key] = ConversationFeed(self, self._kernel, self._turn, *key)
        if self._asking is None or self._asking.done():
            self._asking = self._kernel.tasks.start(self._ask(), name="watches")
        return feed

    def forget(self, feed: ConversationFeed) -> None:
        """Nobody follows it any more."""
        del self._feeds[feed.org_id, feed.conversation_id]

    async def _ask(self) -> None:
        """For as long as anything is followed."""
        while self._feeds:
            await asyncio.sleep(CHECK_S)
            for feeds in _batches(list(self._feeds.values())):
                try:
                    await self._ask_of(feeds)
                except Refused as refusal:
                    log.warning("watches.unasked", problem=refusal.problem.type)

    async def _ask_of(self, feeds: list[ConversationFeed]) -> None:
        watched = tuple(
            Watched(
                feed.org_id,
                feed.conversation_id,
                tuple({follower.who.actor.principal_id for follower in feed.followers}),
            )
            for feed in feeds
        )
        token = await self._kernel.keys.own_token()
        found = await self._kernel.caller.call(CheckWatches(watched=watched), token=token)
        for feed, state in zip(feeds, found.states, strict=True):
            feed.check(state)


def _batches(feeds: list[ConversationFeed]) -> list[list[ConversationFeed]]:
    """So many at a time that neither their number nor that of their followers makes a question too large."""
    batches: list[list[ConversationFeed]] = []
    followers = _FOLLOWERS_AT_ONCE
    for feed in feeds:
        if followers >= _FOLLOWERS_AT_ONCE or len(batches[-1]) >= _ASKED_AT_ONCE:
            batches.append([])
            followers = 0
        batches[-1].append(feed)
        followers += len(feed.followers)
    return batches
