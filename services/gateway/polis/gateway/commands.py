"""Operations that are called over a live socket: the same checks, buckets and deadline as on HTTP, answered by their id.

Only what the contract declares `on_socket` is called. So many of one socket are in hand at once and no more; each has its
answer within the gateway's own bound. What is still in hand when the socket goes is answered to nobody.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

import msgspec

from polis.gateway.http import JSON, Exchange
from polis.gateway.routes import LIVE
from polis.proto import Refused
from polis.proto.live import callable_here
from polis.proto.problems import Fault, Invalid, Malformed, Overloaded, TooLarge, Unauthenticated

if TYPE_CHECKING:
    from polis.gateway.codecs import Codec
    from polis.gateway.proxy import Proxy
    from polis.proto import Operation
    from polis.proto.live import Call
    from polis.service import Actor, Kernel


class Speaker(Protocol):
    """Whoever calls on a socket. in_hand: how many calls of this one have no answer yet. turn: of those that wait."""

    codec: Codec
    in_hand: int
    turn: Turn | None

    @property
    def actor(self) -> Actor:
        """Who that was a moment ago."""

    @property
    def org(self) -> str | None:
        """The org that was chosen when the socket was opened."""

    async def verified(self) -> Actor | None:
        """Who that is now; None when nobody is any more."""

    def say(self, payload: bytes) -> None:
        """Tell this; into nothing once the socket is gone."""


class Commands:
    """What may be called, and how. most: calls of one socket at once."""

    def __init__(self, kernel: Kernel, proxy: Proxy, most: int) -> None:
        self._kernel = kernel
        self._proxy = proxy
        self._most = most
        self._operations = callable_here()

    def obey(self, call: Call, speaker: Speaker) -> None:
        """Call an operation; never waits."""
        command = Command(speaker, call)
        speaker.in_hand += 1
        try:
            operation, body = self._checked(call, speaker)
        except Refused as refusal:
            self._proxy.refuse(command, refusal)
            return
        actor = speaker.actor
        known = self._kernel.keys.known(actor.token, speaker.org) is not None
        if known and speaker.turn is None and not self._proxy.counts(actor):
            self._proxy.call(command, operation, body, actor)
            return
        turn = speaker.turn = speaker.turn or Turn()
        turn.waiting += 1
        self._kernel.tasks.start(self._in_turn(command, operation, body, turn), name="command")

    def _checked(self, call: Call, speaker: Speaker) -> tuple[Operation, bytes]:
        operation = self._operations.get(call.name)
        if operation is None:
            raise Refused(Invalid(faults=(Fault("/name", "names no operation that is called here"),)))
        if speaker.in_hand > self._most:
            raise Refused(Overloaded(retry_after_s=1.0))
        try:
            body = speaker.codec.to_json(bytes(call.request))
        except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
            raise Refused(Malformed(reason=str(error))) from None
        if len(body) > operation.max_body:
            raise Refused(TooLarge(max_bytes=operation.max_body))
        return operation, body

    async def _in_turn(self, command: Command, operation: Operation, body: bytes, turn: Turn) -> None:
        """The token has come to its end, and there may be another behind the same key; or the request is counted first."""
        speaker = command.speaker
        try:
            async with turn.lock:
                actor = await speaker.verified()
                if actor is None:
                    self._proxy.refuse(command, Refused(Unauthenticated()))
                else:
                    await self._proxy.call_counted(command, operation, body, actor)
        finally:
            turn.waiting -= 1
            if not turn.waiting:
                speaker.turn = None


class Turn:
    """Calls of one socket that wait for something: they go on in the order in which they came, and all behind them too."""

    __slots__ = ("lock", "waiting")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.waiting = 0


class Command(Exchange):
    """One call on a socket: an exchange whose answer is a frame."""

    __slots__ = ("_id", "speaker")

    def __init__(self, speaker: Speaker, call: Call) -> None:
        headers = {}
        if org := speaker.org:
            headers[b"x-org-id"] = org.encode("latin-1")
        if call.key:
            headers[b"idempotency-key"] = call.key.encode()
        super().__init__("POST", LIVE, b"", headers, peer="", secure=False)
        self.speaker = speaker
        self._id = call.id

    def finish(self, status: int, body: bytes, media_type: bytes | None = JSON) -> None:  # noqa: ARG002
        """Tell the answer, or the problem, under the call's id."""
        self.status = status
        speaker = self.speaker
        speaker.in_hand -= 1
        codec = speaker.codec
        speaker.say(codec.problem(self._id, body) if status >= 400 else codec.ack(self._id, body or b"null"))
