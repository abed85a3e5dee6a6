"""Operations that are called over a live socket: the same checks, buckets and deadline as on HTTP, answered by their id.

Only what the contract declares `on_socket` is called. So many are in hand at once and no more; each has its answer within the
gateway's own bound. What is still in hand when the socket goes is answered to nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from polis.gateway.http import JSON, Exchange
from polis.proto import Refused
from polis.proto.live import callable_here
from polis.proto.problems import Fault, Invalid, Malformed, Overloaded, TooLarge, Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from polis.gateway.codecs import Codec
    from polis.gateway.proxy import Proxy
    from polis.proto import Operation
    from polis.proto.live import Call
    from polis.service import Actor, Kernel

_KEPT = (b"x-org-id", b"user-agent")
"""What of the handshake's head counts for each call: never what is meant for one request alone, as a precondition."""


class Commands:
    """The calls of one socket. shake: its handshake. actor: who speaks, verified now; None when nobody does any more."""

    def __init__(
        self,
        kernel: Kernel,
        proxy: Proxy,
        shake: Exchange,
        codec: Codec,
        *,
        actor: Callable[[], Awaitable[Actor | None]],
        push: Callable[[bytes], None],
        most: int,
    ) -> None:
        self._kernel = kernel
        self._proxy = proxy
        self._actor = actor
        self._push = push
        self._most = most
        self._headers = {name: shake.headers[name] for name in _KEPT if name in shake.headers}
        self._shake = shake
        self._operations = callable_here()
        self.codec = codec
        self.in_hand = 0

    def obey(self, call: Call, actor: Actor) -> None:
        """Call an operation; never waits. actor: who that was a moment ago."""
        command = Command(self, call.id, self._shake, self._head(call))
        self.in_hand += 1
        operation = self._operations.get(call.name)
        if operation is None:
            fault = Fault("/name", "names no operation that is called here")
            self._proxy.refuse(command, Refused(Invalid(faults=(fault,))))
        elif self.in_hand > self._most:
            self._proxy.refuse(command, Refused(Overloaded(retry_after_s=1.0)))
        else:
            self._call(command, operation, bytes(call.request), actor)

    def _call(self, command: Command, operation: Operation, request: bytes, actor: Actor) -> None:
        try:
            body = self.codec.to_json(request)
        except (msgspec.MsgspecError, TypeError, RecursionError) as error:
            self._proxy.refuse(command, Refused(Malformed(reason=str(error))))
            return
        if len(body) > operation.max_body:
            self._proxy.refuse(command, Refused(TooLarge(max_bytes=operation.max_body)))
        elif self._kernel.keys.known(actor.token, command.header(b"x-org-id") or None) is None:
            self._kernel.tasks.start(self._verified(command, operation, body), name="command")
        else:
            self._proxy.call(command, operation, body, actor)

    async def _verified(self, command: Command, operation: Operation, body: bytes) -> None:
        """The token has come to its end; there may be another behind the same key."""
        actor = await self._actor()
        if actor is None:
            self._proxy.refuse(command, Refused(Unauthenticated()))
        else:
            self._proxy.call(command, operation, body, actor)

    def _head(self, call: Call) -> dict[bytes, bytes]:
        if not call.key:
            return self._headers
        return self._headers | {b"idempotency-key": call.key.encode()}

    def told(self, frame: bytes) -> None:
        """One has its answer."""
        self.in_hand -= 1
        self._push(frame)


class Command(Exchange):
    """One call on a socket: an exchange whose answer is a frame."""

    __slots__ = ("_commands", "_id")

    def __init__(
        self, commands: Commands, call_id: int, shake: Exchange, headers: dict[bytes, bytes]
    ) -> None:
        super().__init__("POST", shake.path, b"", headers, peer=shake.peer, secure=shake.secure)
        self._commands = commands
        self._id = call_id

    def finish(self, status: int, body: bytes, media_type: bytes | None = JSON) -> None:  # noqa: ARG002
        self.status = status
        codec = self._commands.codec
        frame = codec.problem(self._id, body) if status >= 400 else codec.ack(self._id, body or b"null")
        self._commands.told(frame)
