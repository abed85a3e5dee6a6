"""Topics that clients follow: runs, conversations (conversations.py), their org and its agents (orgs.py), lists of their own (lists.py).

A run's number is that of its transitions: exact, whatever happened to the broker. One subscription and one reading serve
all who follow it here; the owner of a topic authorises each of them.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

import msgspec

from polis.gateway.audience import Follower, Turn
from polis.gateway.channels import Channels
from polis.gateway.conversations import ConversationFeeds
from polis.gateway.feeds import Feed
from polis.gateway.inbox import OF_ASKS, InboxWatch
from polis.gateway.lists import ListChannel
from polis.gateway.orgs import AgentWatch, OrgChannel, OrgWatch
from polis.gateway.participations import ParticipationsWatch
from polis.gateway.presences import PresenceChannel, PresenceWatch
from polis.gateway.wishes import demand_known
from polis.proto import Refused
from polis.proto.live import TOPICS
from polis.proto.messaging import ParticipantChanged
from polis.proto.problems import Fault, Invalid
from polis.proto.runtime import (
    RUN_LIVE,
    TERMINAL,
    LiveTransitions,
    RunLogChange,
    RunSnapshot,
    Transition,
    WatchRun,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from polis.bus import Message
    from polis.gateway.audience import Thing, View, Who
    from polis.gateway.websocket.spread import Writer
    from polis.proto.live import Subscribe
    from polis.service import Actor, Kernel

QUIET_S = 3.0
"""A followed run that has not ended and says nothing for this long is read again: a lost last message shows no gap."""


class Watch(Protocol):
    """A topic that is each follower's own: what it begins with, and what follows.

    last: the number of the last thing that was given.
    """

    last: int

    async def __aenter__(self) -> Thing: ...
    async def __aexit__(self, *error: object) -> None: ...
    async def next(self) -> Sequence[Thing]: ...


class RunFeed(Feed):
    """One run, for all who follow it here, until it ends."""

    quiet_s = QUIET_S

    def __init__(
        self, kernel: Kernel, turn: Turn, org_id: UUID, run_id: UUID, on_empty: Callable[[], None]
    ) -> None:
        super().__init__(kernel, turn, RUN_LIVE.subject(org_id, run_id), on_empty)
        self._run_id = run_id

    async def read(self, actor: Actor, after: int | None) -> RunSnapshot:
        return await self.kernel.caller.call(
            WatchRun(run_id=self._run_id, after=after), token=actor.token, org=str(actor.org_id)
        )

    def things(self, snapshot: RunSnapshot) -> Sequence[Transition]:
        return snapshot.transitions

    def more(self, snapshot: RunSnapshot) -> bool:  # noqa: ARG002
        return False

    def over(self, snapshot: RunSnapshot) -> bool:
        return snapshot.run.state in TERMINAL

    def ends(self, thing: Thing) -> bool:
        return isinstance(thing, Transition) and thing.step is None and thing.state in TERMINAL

    def loses(self, thing: Thing) -> UUID | None:  # noqa: ARG002
        return None

    def hear(self, message: Message) -> None:
        told = _decoder.decode(message.payload)
        if told.lines:  # before what may be the end
            self.pass_by([RunLogChange(self.last or 0, line) for line in told.lines])
        if told.transitions:
            self.told(told.transitions)


_decoder = msgspec.json.Decoder(LiveTransitions)


class Following:
    """One who follows a topic, until `leave`."""

    __slots__ = ("_feed", "follower")

    def __init__(self, follower: Follower, feed: Feed | None) -> None:
        self.follower = follower
        self._feed = feed

    def leave(self) -> None:
        if self._feed is not None:
            self._feed.leave(self.follower)
        elif self.follower.task is not None:
            self.follower.task.cancel()


class Topics:
    """What is followed now: interest decides what the gateway receives."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._turn = Turn(asyncio.get_running_loop())
        self._runs: dict[tuple[UUID, UUID], RunFeed] = {}
        self._inboxes = Channels(lambda org_id: ListChannel(kernel, org_id, OF_ASKS))
        self._participations = Channels(lambda org_id: ListChannel(kernel, org_id, (ParticipantChanged,)))
        self._orgs = Channels(lambda org_id: OrgChannel(kernel, org_id))
        self._presences = Channels(lambda org_id: PresenceChannel(kernel, org_id))
        self._conversations = ConversationFeeds(kernel, self._turn)

    def follow(self, who: Who, writer: Writer, wanted: Subscribe, view: View) -> Following:
        """Begin to follow; never waits. Refused(Invalid) for a topic that there is not, and for what it never tells."""
        demand_known(wanted)
        topic, after = wanted.topic, wanted.after
        follower = Follower(who, writer, topic, view)
        feed = self._feed(topic, who.actor.org_id)
        if feed is not None:
            feed.follow(follower, after)
        else:
            watch = self._watch(topic, who)
            follower.task = self._kernel.tasks.start(_pump(follower, watch), name=topic)
        return Following(follower, feed)

    def _feed(self, topic: str, org_id: UUID) -> Feed | None:
        kind, _, name = topic.partition("/")
        try:
            if kind == "conversation":
                return self._conversations.feed(org_id, UUID(name))
            if kind == "run":
                return self._run(org_id, UUID(name))
        except ValueError:
            pass
        return None

    def _run(self, org_id: UUID, run_id: UUID) -> RunFeed:
        key = (org_id, run_id)
        feed = self._runs.get(key)
        if feed is None:
            feed = RunFeed(self._kernel, self._turn, *key, lambda: self._forget(key))
            self._runs[key] = feed
        return feed

    def _forget(self, key: tuple[UUID, UUID]) -> None:
        """Nobody follows it any more."""
        del self._runs[key]

    def _watch(self, topic: str, who: Who) -> Watch:
        if topic == "asks":
            return InboxWatch(self._kernel, self._inboxes, lambda: who.actor)
        if topic == "conversations":
            return ParticipationsWatch(self._kernel, self._participations, lambda: who.actor)
        if topic == "org":
            return OrgWatch(self._orgs, lambda: who.actor)
        if topic == "presence":
            return PresenceWatch(self._kernel, self._presences, lambda: who.actor)
        kind, _, name = topic.partition("/")
        if kind == "agent" and name:
            return AgentWatch(self._kernel, self._orgs, lambda: who.actor, name)
        known = ", ".join(topic.name for topic in TOPICS)
        raise Refused(Invalid(faults=(Fault("/topic", f"Expected one of {known}"),)))


async def _pump(follower: Follower, watch: Watch) -> None:
    """Tell one what is its own."""
    try:
        async with watch as snapshot:
            follower.begin(snapshot.seq, snapshot)
            while things := await watch.next():
                follower.tell(things)
            follower.end()
    except Exception as error:  # noqa: BLE001 - the last wall of a topic: whoever follows is told
        follower.who.failed(follower, error)
    else:
        follower.who.ended(follower)
