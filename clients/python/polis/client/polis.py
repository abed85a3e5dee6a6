"""The contract's operations as calls, repeated where that is harmless, and its topics as changes."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlencode

import aiohttp
import msgspec

from polis.client.changes import changes
from polis.client.connection import LONG_TIMEOUT_S, TIMEOUT_S, Connection
from polis.client.frames import ATTEMPTS
from polis.client.pauses import pause
from polis.client.problem import Problem
from polis.proto.contract import Operation, Request, Stream, operation_of
from polis.proto.registry import load

if TYPE_CHECKING:
    from polis.client.changes import Change
    from polis.client.connection import Token

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
        """The operation's answer; Problem when it is refused.

        What changes something carries a key, so that it is done once, however often it must be sent.
        """
        operation = operation_of(type(request))
        path, body, raw = _placed(operation, request)
        headers = (
            {"Idempotency-Key": idempotency_key or secrets.token_hex(16)} if operation.idempotent else {}
        )
        if raw is not None:
            headers["Content-Type"] = "application/octet-stream"
        harmless = operation.verb == "GET" or operation.idempotent
        long = operation.binary
        for attempt in range(self._retries + 1):
            after = None
            try:
                answer = await self.request(
                    operation.verb or "GET", path, body, data=raw, headers=headers,
                    timeout_s=LONG_TIMEOUT_S if long else TIMEOUT_S,
                )  # fmt: skip
            except Problem as problem:
                if attempt == self._retries or not (problem.status == 429 or (harmless and problem.may_pass)):
                    raise
                after = problem.retry_after_s
            except (aiohttp.ClientError, TimeoutError):
                if attempt == self._retries or not harmless:
                    raise
            else:
                result: A = _decoded(operation, answer)
                return result
            await pause(attempt, after)
        raise AssertionError("unreachable")

    async def stream(self, request: Request[Stream[T]]) -> AsyncIterator[T]:
        """The parts of an answer as they come."""
        operation = operation_of(type(request))
        path, _, _ = _placed(operation, request)
        async for line in self.lines(path):
            if line:
                yield _decoded(operation, line)

    def follow(
        self, topic: str, *, after: int | None = None, attempts: float = ATTEMPTS
    ) -> AsyncIterator[Change]:
        """Each change of a topic once and in order, through every cut, until there is no more.

        after: the `seq` of the last change that was seen; otherwise a snapshot comes first, and again where what was
        missed cannot be told one by one. attempts: in a row, before it is given up; `math.inf` for never.
        """
        return changes(self, topic, after=after, attempts=attempts)


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
