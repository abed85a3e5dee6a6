"""What is said on one WebSocket, as messages: how they travel is websocket/'s business.

Client to server: {"op": "subscribe", "topic": "run/<id>", "after": 17?}, {"op": "unsubscribe", "topic": ...}, and on the
topic `asks` {"op": "answer", "topic": "asks", "answer": {"ask_id": ..., "decision": ...}}, told by `answered` or `problem`.
Server to client, each with its topic: `snapshot`, `events` (transitions, gap-free, their `seq` is the cursor to resume
with; of `conversation/<id>` changes: entries, gap-free too, and typing, presence and marks, which are never kept; of `asks`
changes, and a snapshot at each beginning), `end`, `problem`. Close codes: 4401 token expired or session ended, 4408 too slow, 4400 not understood, 1012 restart.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec
from msgspec import Raw, Struct

from polis.gateway.slow import Slow
from polis.gateway.topics import following
from polis.gateway.websocket.socket import TOO_SLOW
from polis.proto import Refused
from polis.proto.problems import Internal, Overloaded
from polis.proto.runtime import AnswerAsk
from polis.service.wire import encode_problem
from polis.telemetry import log

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from polis.gateway.live import Holder, Live
    from polis.service import Actor

UNDERSTOOD_NOT, UNAUTHORISED = 4400, 4401
_IN_FLIGHT = 64
"""Commands of one socket that are answered at once; what comes beyond is refused."""


class Command(Struct, frozen=True, forbid_unknown_fields=True):
    """What a client may say on the socket."""

    op: Literal["subscribe", "unsubscribe", "answer"]
    topic: str
    after: int | None = None
    answer: AnswerAsk | None = None


class Socket(Protocol):
    """Where a session speaks."""

    def send(self, message: str | bytes) -> None:
        """One whole message; never waits."""

    def close(self, code: int, reason: str = "") -> None:
        """The last word; `lost` is called at once."""


class Session:
    """One client on one socket: a task for each topic that it follows and each command that is being obeyed."""

    __slots__ = ("_actor", "_holder", "_live", "_obeying", "_renewing", "_socket", "_topics", "told_at")

    def __init__(self, live: Live, socket: Socket, holder: Holder, actor: Actor) -> None:
        self._live = live
        self._socket = socket
        self._holder = holder
        self._actor = actor
        self._topics: dict[str, asyncio.Task[None]] | None = None
        self._obeying: set[asyncio.Task[None]] | None = None
        self._renewing = False
        self.told_at = 0.0

    # What the socket tells

    def receive(self, message: str | bytes) -> None:
        """Take one message; never waits."""
        try:
            command = _decoder.decode(message)
        except msgspec.DecodeError:
            self._socket.close(UNDERSTOOD_NOT)
            return
        if command.op == "answer":
            self._answer(command)
            return
        self._leave(command.topic)
        if command.op == "subscribe":
            self._subscribe(command)

    def look(self) -> None:
        """A second has passed: a token may hold no more."""
        if not self._renewing and not self._live.holds(self._holder, self._actor):
            self._renewing = True
            self._start(self._renew())

    def lost(self) -> None:
        """Nobody is told anything any more."""
        self._live.leave(self._actor)
        for task in (*(self._topics or {}).values(), *(self._obeying or ())):
            task.cancel()
        self._topics = self._obeying = None

    # Commands

    def _leave(self, topic: str) -> None:
        running = self._topics.pop(topic, None) if self._topics else None
        if running is not None:
            running.cancel()

    def _subscribe(self, command: Command) -> None:
        if self._topics is None:
            self._topics = {}
        if len(self._topics) >= self._live.settings.subscriptions_per_socket:
            self._refuse(Overloaded(retry_after_s=1.0), topic=command.topic)
            return
        self._topics[command.topic] = self._task(self._follow(command))

    def _answer(self, command: Command) -> None:
        if command.answer is None or command.topic != "asks":
            self._socket.close(UNDERSTOOD_NOT)
        elif self._obeying is not None and len(self._obeying) >= _IN_FLIGHT:
            self._refuse(Overloaded(retry_after_s=1.0), topic=command.topic, ask_id=command.answer.ask_id)
        else:
            self._start(self._answered(command.topic, command.answer))

    async def _answered(self, topic: str, answer: AnswerAsk) -> None:
        """Answer an ask, and tell how that went."""
        actor = self._actor
        told: dict[str, Any] = {"topic": topic, "ask_id": answer.ask_id}
        try:
            ask = await self._live.kernel.caller.call(answer, token=actor.token, org=str(actor.org_id))
        except Refused as refusal:
            self._refused(refusal, **told)
        else:
            self._tell({"op": "answered", **told, "data": ask})

    async def _follow(self, command: Command) -> None:
        topic, live = command.topic, self._live
        try:
            watch = following(live.kernel, live.channels, lambda: self._actor, topic, command.after)
            async with watch as snapshot:
                self._tell({"op": "snapshot", "topic": topic, "seq": snapshot.seq, "data": snapshot})
                while transitions := await watch.next():
                    self._tell({"op": "events", "topic": topic, "seq": watch.last, "data": transitions})
                self._tell({"op": "end", "topic": topic, "seq": watch.last})
        except Refused as refusal:
            self._refused(refusal, topic=topic)
        except Slow:
            self._socket.close(TOO_SLOW)
        except Exception as error:  # noqa: BLE001 - the last wall of a topic: recorded, and told without text
            log.error("topic.failed", topic=topic, exc_info=error)
            self._refuse(Internal(), topic=topic)

    async def _renew(self) -> None:
        actor = await self._live.renewed(self._holder, self._actor)
        self._renewing = False
        if actor is None:
            self._socket.close(UNAUTHORISED)
        else:
            self._actor = actor

    # Words

    def _tell(self, frame: dict[str, Any]) -> None:
        self.told_at = asyncio.get_running_loop().time()
        self._socket.send(msgspec.json.encode(frame).decode())

    def _refused(self, refusal: Refused, **told: Any) -> None:
        problem = Raw(encode_problem(refusal.problem, detail=refusal.detail))
        self._tell({"op": "problem", **told, "problem": problem})

    def _refuse(self, problem: Any, **told: Any) -> None:
        self._refused(Refused(problem), **told)

    # Tasks

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        """Something that a command asked for, ended with the session."""
        if self._obeying is None:
            self._obeying = set()
        task = self._task(work)
        self._obeying.add(task)
        task.add_done_callback(self._obeying.discard)

    def _task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return self._live.kernel.tasks.start(work, name="session")


_decoder = msgspec.json.Decoder(Command)
