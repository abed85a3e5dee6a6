"""Answers that come in parts, as lines of JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec

from polis.gateway.decode import to_request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from polis.gateway.http import AsgiExchange
    from polis.proto import Operation, Request, Stream
    from polis.service import Actor, Caller

_JSON_LINES = b"application/jsonl"


class Lines:
    """Answers operations whose parts are messages: each is a line, sent as it comes."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def __call__(
        self, exchange: AsgiExchange, operation: Operation, path: dict[str, str], actor: Actor
    ) -> None:
        request = cast("Request[Stream[object]]", to_request(operation, path, exchange.query, b"", ""))
        parts = self._caller.stream(request, token=actor.token, org=str(actor.org_id))
        # A refusal comes instead of the first part, while there is a status to tell it with.
        line = await _next(parts)
        await exchange.start(200, _JSON_LINES)
        while line and exchange.method != "HEAD":
            await exchange.part(line)
            line = await _next(parts)
        await exchange.part(b"", more=False)


async def _next(parts: AsyncIterator[object]) -> bytes:
    """The next line; none at the end."""
    async for part in parts:
        return msgspec.json.encode(part) + b"\n"
    return b""
