"""What is said on one WebSocket, as messages: how they travel is websocket/'s business.

The contract has the words (polis.proto.live): who subscribes to a topic is told a snapshot and what follows, gap-free, each
with the number to resume with; `typing`, `presence` and `mark` of conversations are never kept; `asks` begins anew each time.
Calls are answered by their id (commands.py).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from msgspec import Raw

from polis.gateway.slow import Slow
from polis.gateway.views import View
from polis.gateway.websocket import frames
from polis.gateway.websocket.frames import BINARY, TEXT
from polis.gateway.websocket.socket import TOO_SLOW
from polis.proto import Refused
from polis.proto.live import Call, Ping, Subscribe, Unsubscribe
from polis.proto.problems import Internal, Overloaded
from polis.service.wire import encode_problem
from polis.telemetry import log

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from polis.gateway.audience import Follower
    from polis.gateway.codecs import Codec
    from polis.gateway.commands import Turn
    from polis.gateway.live import Holder, Live
    from polis.gateway.topics import Following
    from polis.gateway.websocket.spread import Line
    from polis.service import Actor

UNDERSTOOD_NOT, UNAUTHORISED = 4400, 4401


class Socket(Protocol):
    """Where a session speaks."""

    def write(self, data: bytes, /) -> None:
        """Takes whole frames; never waits."""

    def line(self) -> Line | None:
        """Where to write past it."""

    def close(self, code: int, reason: str = "") -> None:
        """The last word; `lost` is called at once."""


class Session:
    """One client on one socket. What it calls is answered, and what it follows is told, without a task of its own."""

    __slots__ = (
        "_holder",
        "_live",
        "_renewing",
        "_socket",
        "_told_at",
        "_topics",
        "actor",
        "codec",
        "in_hand",
        "turn",
    )

    def __init__(self, live: Live, socket: Socket, holder: Holder, actor: Actor, codec: Codec) -> None:
        self._live = live
        self._socket = socket
        self._holder = holder
        self._topics: dict[str, Following] | None = None
        self._renewing: asyncio.Task[None] | None = None
        self.actor = actor
        self.codec = codec
        self.in_hand = 0
        self.turn: Turn | None = None
        self._told_at = 0.0

    # What the socket tells

    def receive(self, message: str | bytes) -> None:
        """Take one message; never waits."""
        try:
            said = self.codec.said(message)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self._socket.close(UNDERSTOOD_NOT, str(error))
            return
        match said:
            case Call():
                self._live.commands.obey(said, self)
            case Subscribe():
                self._leave(said.topic)
                self._subscribe(said)
            case Unsubscribe():
                self._leave(said.topic)
            case Ping():
                self._tell({"op": "pong"})

    def look(self) -> None:
        """A second has passed: a token may hold no more."""
        if self._renewing is None and not self._live.holds(self._holder, self.actor):
            self._renewing = self._task(self._renew())

    def lost(self) -> None:
        """Nobody is told anything any more."""
        self._live.leave(self._holder)
        topics, self._topics = self._topics, None
        for following in (topics or {}).values():
            following.leave()
        if self._renewing is not None:
            self._renewing.cancel()
            self._renewing = None

    @property
    def told_at(self) -> float:
        """When it was told anything last."""
        if not self._topics:
            return self._told_at
        return max(self._told_at, *(following.follower.told_at for following in self._topics.values()))

    # What calls need of it (commands.Speaker)

    @property
    def org(self) -> str | None:
        return self._holder.org

    async def verified(self) -> Actor | None:
        return await self._live.renewed(self._holder, self.actor)

    def say(self, payload: bytes) -> None:
        self._told_at = self._live.sockets.loop.time()
        self._socket.write(frames.frame(BINARY if self.codec.binary else TEXT, payload))

    # Topics

    def _leave(self, topic: str) -> None:
        following = self._topics.pop(topic, None) if self._topics else None
        if following is not None:
            following.leave()

    def _subscribe(self, command: Subscribe) -> None:
        if self._topics is None:
            self._topics = {}
        if len(self._topics) >= self._live.settings.subscriptions_per_socket:
            self._refuse(Overloaded(retry_after_s=1.0), topic=command.topic)
            return
        topic, view = command.topic, View(self.codec, command.kinds, command.fields)
        try:
            self._topics[topic] = self._live.topics.follow(self, self._socket, command, view)
        except Refused as refusal:
            self._refused(refusal, topic=topic)

    # What a topic tells (audience.Who)

    def ended(self, follower: Follower) -> None:
        self._forget(follower)

    def failed(self, follower: Follower, error: Exception) -> None:
        self._forget(follower)
        if isinstance(error, Refused):
            self._refused(error, topic=follower.topic)
        elif isinstance(error, Slow):
            self._socket.close(TOO_SLOW)
        else:
            log.error("topic.failed", topic=follower.topic, exc_info=error)
            self._refuse(Internal(), topic=follower.topic)

    def _forget(self, follower: Follower) -> None:
        following = self._topics.get(follower.topic) if self._topics else None
        if self._topics is not None and following is not None and following.follower is follower:
            del self._topics[follower.topic]

    async def _renew(self) -> None:
        actor = await self.verified()
        self._renewing = None
        if actor is None:
            self._socket.close(UNAUTHORISED)
        else:
            self.actor = actor

    # Words

    def _tell(self, frame: dict[str, Any]) -> None:
        self.say(self.codec.of_json(msgspec.json.encode(frame)))

    def _refused(self, refusal: Refused, **told: Any) -> None:
        problem = Raw(encode_problem(refusal.problem, detail=refusal.detail))
        self._tell({"op": "problem", **told, "problem": problem})

    def _refuse(self, problem: Any, **told: Any) -> None:
        self._refused(Refused(problem), **told)

    def _task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return self._live.kernel.tasks.start(work, name="session")
