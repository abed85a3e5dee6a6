"""The contract's operations as calls, repeated where that is harmless, and its topics as changes."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import quote, urlencode

import aiohttp
import msgspec

from polis.client.changes import changes
from polis.client.connection import LONG_TIMEOUT_S, TIMEOUT_S, Connection
from polis.client.frames import ATTEMPTS
from polis.client.pauses import pause
from polis.client.problem import Problem, unreached
from polis.client.wire import Cut
from polis.proto.contract import Operation, Request, Stream, operation_of
from polis.proto.messaging import (
    ControlConversation,
    MarkConversation,
    PostMessage,
    SayTyping,
)
from polis.proto.registry import load
from polis.proto.runtime import AnswerAsk, SignalRun

if TYPE_CHECKING:
    from uuid import UUID

    from polis.client.changes import Change
    from polis.client.connection import Token
    from polis.proto.messaging import Control, ControlAnswer, Posted, ReadMark
    from polis.proto.runtime import Ask, Decision, Signalled

A = TypeVar("A")
T = TypeVar("T")
RETRIES = 4


class Polis(Connection):
    """One caller of one mesh. retries: how often a call is repeated that may be."""

    def __init__(self, address: str, token: Token = "", *, org: str = "", retries: int = RETRIES) -> None:
        super().__init__(address, token, org=org)
        self._retries = retries
        load()

    async def call(self, request: Request[A], *, idempotency_key: str = "") -> A:
        """The operation's answer; Problem when it is refused, or the gateway was not reached (then its status is 0).

        What changes something carries a key, so that it is done once, however often it must be sent.
        """
        operation = operation_of(type(request))
        path, body, raw = _placed(operation, request)
        headers = (
            {"Idempotency-Key": idempotency_key or secrets.token_hex(16)} if operation.idempotent else {}
        )
        if raw is not None:
            headers["Content-Type"] = "application/octet-stream"
        timeout_s = LONG_TIMEOUT_S if operation.binary else TIMEOUT_S

        async def once() -> bytes:
            verb = operation.verb or "GET"
            return await self.request(verb, path, body, data=raw, headers=headers, timeout_s=timeout_s)

        answer = await self._repeated(operation.verb == "GET" or operation.idempotent, once)
        result: A = _decoded(operation, answer)
        return result

    async def say(self, request: Request[A], *, idempotency_key: str = "") -> A:
        """The same answer as from `call`, over the socket that topics share: for what is said often and in a hurry."""
        operation = operation_of(type(request))
        if not operation.on_socket:
            raise TypeError(f"{operation.name} is not said over the socket: use call")
        own_id = getattr(request, "client_id", None) is not None  # by which it is done once anyway
        key = (idempotency_key or secrets.token_hex(16)) if operation.idempotent and not own_id else ""
        content = msgspec.json.encode(request)

        async def once() -> Any:
            return await self.wire().call(type(request).__name__, content, key)

        told = await self._repeated(own_id or bool(key), once)
        return cast("A", None if operation.answer is None else msgspec.convert(told, operation.answer))

    async def post(self, conversation_id: UUID, text: str = "", **fields: Any) -> Posted:
        """Say something in a conversation, once, however often it has to be sent. fields: others of PostMessage."""
        given = {"client_id": secrets.token_hex(16)} | fields
        return await self.say(PostMessage(conversation_id=conversation_id, text=text, **given))

    async def typing(self, conversation_id: UUID, *, on: bool = True) -> None:
        await self.say(SayTyping(conversation_id=conversation_id, on=on))

    async def read(self, conversation_id: UUID, seq: int) -> ReadMark:
        """Say how far the caller has read."""
        return await self.say(MarkConversation(conversation_id=conversation_id, read_seq=seq))

    async def control(
        self, conversation_id: UUID, control: Control, *, stream_id: UUID | None = None
    ) -> ControlAnswer:
        """Pause, resume, end or route what is said in a conversation; of one stream alone with its id."""
        request = ControlConversation(conversation_id=conversation_id, control=control, stream_id=stream_id)
        return await self.say(request)

    async def signal(self, run_id: UUID, name: str, payload: object = None) -> Signalled:
        return await self.say(SignalRun(run_id=run_id, name=name, payload=payload))

    async def answer(self, ask_id: UUID, decision: Decision = "submit", **fields: Any) -> Ask:
        """Answer an ask. fields: others of AnswerAsk."""
        return await self.say(AnswerAsk(ask_id=ask_id, decision=decision, **fields))

    async def _repeated(self, harmless: bool, once: Callable[[], Awaitable[T]]) -> T:  # noqa: FBT001
        """What may have happened already is only repeated where that is harmless, or when it was refused before."""
        for attempt in range(self._retries + 1):
            after = None
            try:
                return await once()
            except Problem as problem:
                if attempt == self._retries or not (problem.status == 429 or (harmless and problem.may_pass)):
                    raise
                after = problem.retry_after_s
            except (aiohttp.ClientError, TimeoutError) as error:
                unsent = isinstance(error, Cut) and not error.sent
                if attempt == self._retries or not (harmless or unsent):
                    raise unreached(self.address) from error
            await pause(attempt, after)
        raise AssertionError("unreachable")

    async def stream(self, request: Request[Stream[T]]) -> AsyncIterator[T]:
        """The parts of an answer as they come. Until there is the first, it is asked for again like that of a call."""
        operation = operation_of(type(request))
        path, _, _ = _placed(operation, request)

        async def begun() -> tuple[bytes, AsyncIterator[bytes]]:
            lines = self.lines(path)
            return await anext(lines, b""), lines

        first, others = await self._repeated(harmless=True, once=begun)
        if first:
            yield _decoded(operation, first)
        async for line in others:
            if line:
                yield _decoded(operation, line)

    def follow(
        self,
        topic: str,
        *,
        after: int | None = None,
        kinds: Sequence[str] = (),
        fields: Sequence[str] = (),
        attempts: float = ATTEMPTS,
    ) -> AsyncIterator[Change]:
        """Each change of a topic once and in order, through every cut, until there is no more.

        after: the `seq` of the last change that was seen; otherwise a snapshot comes first, and again where what was
        missed cannot be told one by one. kinds, fields: what of the changes is told, where not all is (polis.proto.live).
        attempts: in a row, before it is given up; `math.inf` for never.
        """
        wanted = {name: list(given) for name, given in (("kinds", kinds), ("fields", fields)) if given}
        return changes(self, topic, after=after, attempts=attempts, **wanted)


def _placed(operation: Operation, request: Request[Any]) -> tuple[str, dict[str, Any] | None, bytes | None]:
    """Where the request's fields stand in HTTP: the path with its query, the JSON body, the body as it is."""
    if operation.path is None:
        raise TypeError(f"{operation.name} has no route")
    fields: dict[str, Any] = msgspec.to_builtins(request, builtin_types=(bytes,))
    path = re.sub(r"{(\w+)}", lambda match: _segment(str(fields.pop(match[1]))), operation.path)
    raw = fields.pop(operation.raw_body) if operation.raw_body else None
    if raw is None and operation.verb not in ("GET", "DELETE"):
        return path, fields, None
    given = {name: _text(value) for name, value in fields.items() if value is not None}
    return path + (f"?{urlencode(given)}" if given else ""), None, raw


def _segment(value: str) -> str:
    if value in ("", ".", ".."):
        raise ValueError(f"{value!r} cannot stand in a path: a URL takes it for a step")
    return quote(value, safe="")


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _decoded(operation: Operation, answer: bytes) -> Any:
    if operation.answer is None:
        return None
    return answer if operation.answer is bytes else msgspec.json.decode(answer, type=operation.answer)
