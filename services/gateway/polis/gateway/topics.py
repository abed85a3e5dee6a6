"""Topics that clients follow: runs, conversations (conversations.py), what they may answer (inbox.py). A run's cursor is its own transition number: exact, whatever happened to the broker.

The gateway listens on the run's live subject while somebody watches it; what is missed there is read from the runtime,
which also authorises each watcher. One subscription and one re-reading serve all watchers of a run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

import msgspec

from polis.gateway.conversations import ConversationChannels, ConversationWatch
from polis.gateway.inbox import InboxChannel, InboxWatch
from polis.gateway.slow import Slow
from polis.proto import Refused
from polis.proto.problems import Fault, Invalid
from polis.proto.runtime import RUN_LIVE, TERMINAL, LiveTransitions, RunSnapshot, Transition, WatchRun

if TYPE_CHECKING:
    from polis.bus import Message
    from polis.bus import Subscription as BusSubscription
    from polis.service import Actor, Kernel

QUIET_S = 3.0
"""A watched run that has not ended and says nothing for this long is read again: a lost last message shows no gap."""
_PENDING = 1_000


class Snapshot(Protocol):
    """What a topic begins with, and what follows: each has its number."""

    @property
    def seq(self) -> int: ...


class Following(Protocol):
    """One client on one topic: a snapshot when it is entered, then what follows, until () when there is no more.

    last: the number of the last thing that was given. event: what one thing is called among server-sent events.
    """

    last: int
    event: str

    async def __aenter__(self) -> Snapshot: ...
    async def __aexit__(self, *error: object) -> None: ...
    async def next(self) -> Sequence[Snapshot]: ...


class Channel:
    """The live subject of one run, shared by its watchers in this process."""

    def __init__(self, kernel: Kernel, subject: str) -> None:
        self._kernel = kernel
        self.subject = subject
        self.watchers: set[Watch] = set()
        self._subscription: BusSubscription | None = None

    async def join(self, watch: Watch) -> None:
        self.watchers.add(watch)
        if self._subscription is None:
            self._subscription = await self._kernel.bus.subscribe(self.subject, self._on_message)

    def leave(self, watch: Watch) -> bool:
        """True when that was the last one."""
        self.watchers.discard(watch)
        if self.watchers or self._subscription is None:
            return not self.watchers
        self._subscription.unsubscribe()
        self._subscription = None
        return True

    def _on_message(self, message: Message) -> None:
        transitions = msgspec.json.decode(message.payload, type=LiveTransitions).transitions
        for watch in tuple(self.watchers):
            watch.offer(transitions)


class Channels:
    """The channels that somebody watches now: interest decides what the gateway receives."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._channels: dict[str, Channel] = {}
        self.inboxes: dict[UUID, InboxChannel] = {}
        self.conversations = ConversationChannels(kernel)

    async def join(self, watch: Watch) -> Channel:
        subject = RUN_LIVE.subject(watch.actor.org_id, watch.run_id)
        channel = self._channels.setdefault(subject, Channel(self._kernel, subject))
        await channel.join(watch)
        return channel

    def leave(self, channel: Channel, watch: Watch) -> None:
        if channel.leave(watch):
            self._channels.pop(channel.subject, None)


class Watch:
    """One client following one run: a snapshot, then every transition once and in order, until the run ends."""

    event = "transition"

    def __init__(
        self, kernel: Kernel, channels: Channels, actor: Actor, run_id: UUID, after: int | None
    ) -> None:
        self._kernel = kernel
        self._channels = channels
        self._live: asyncio.Queue[tuple[Transition, ...]] = asyncio.Queue(_PENDING)
        self._slow = False
        self.actor = actor
        self.run_id = run_id
        self.after = after
        self.last = 0
        self.ended = False

    async def __aenter__(self) -> RunSnapshot:
        """Listen first, then read: nothing falls between. Refused when the owner does not let the actor see it."""
        self._channel = await self._channels.join(self)
        try:
            snapshot = await self._read(self.after)
        except BaseException:
            self._channels.leave(self._channel, self)
            raise
        self.last = snapshot.seq
        self.ended = snapshot.run.state in TERMINAL
        return snapshot

    async def __aexit__(self, *error: object) -> None:
        self._channels.leave(self._channel, self)

    def offer(self, transitions: tuple[Transition, ...]) -> None:
        """Take what came on the live subject; never waits."""
        try:
            self._live.put_nowait(transitions)
        except asyncio.QueueFull:
            self._slow = True

    async def next(self) -> tuple[Transition, ...]:
        """The transitions that follow the last ones, at least one; () when the run has ended and all were given."""
        while not self.ended:
            if self._slow:
                raise Slow
            try:
                async with asyncio.timeout(QUIET_S):
                    offered = await self._live.get()
            except TimeoutError:
                fresh = (await self._read(self.last)).transitions
            else:
                fresh = tuple(t for t in offered if t.seq > self.last)
                if fresh and fresh[0].seq != self.last + 1:
                    fresh = (await self._read(self.last)).transitions
            if fresh:
                self.last = fresh[-1].seq
                self.ended = any(t.step is None and t.state in TERMINAL for t in fresh)
                return fresh
        return ()

    async def _read(self, after: int | None) -> RunSnapshot:
        return await self._kernel.caller.call(
            WatchRun(run_id=self.run_id, after=after), token=self.actor.token, org=str(self.actor.org_id)
        )


def following(
    kernel: Kernel, channels: Channels, actor: Callable[[], Actor], topic: str, after: int | None
) -> Following:
    """What follows a topic. actor: who that is by now. Refused(Invalid) for a topic that there is not."""
    if topic == "asks":
        return InboxWatch(kernel, channels.inboxes, actor)
    kind, _, name = topic.partition("/")
    try:
        if kind == "run":
            return Watch(kernel, channels, actor(), UUID(name), after)
        if kind == "conversation":
            return ConversationWatch(kernel, channels.conversations, actor, UUID(name), after)
    except ValueError:
        pass
    raise Refused(Invalid(faults=(Fault("/topic", "expected run/<id>, conversation/<id> or asks"),)))
