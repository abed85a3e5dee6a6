"""What a stream holds, read message by message as an operator would."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from polis.bus.api import Answer, StreamError, call
from polis.bus.jetstream import Log
from polis.bus.message import parse_headers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from polis.bus import Bus

_AT_ONCE = 200
_NO_SUCH_MESSAGE = 10037


class Stored(Struct, frozen=True):
    """One message of a stream."""

    seq: int
    subject: str
    headers: Mapping[str, str]
    payload: bytes


class _Message(Struct, frozen=True):
    seq: int = 0
    subject: str = ""
    hdrs: str = ""
    data: str = ""


class _Got(Answer, frozen=True):
    message: _Message = _Message()


_got = msgspec.json.Decoder(_Got)


async def stored(bus: Bus, stream: str) -> list[Stored]:
    """Every message of a stream, in its order."""
    state = await Log(bus, stream).info()
    found: list[Stored | None] = []
    for first in range(max(state.first_seq, 1), state.last_seq + 1, _AT_ONCE):
        last = min(first + _AT_ONCE, state.last_seq + 1)
        found += await asyncio.gather(*(_get(bus, stream, seq) for seq in range(first, last)))
    return [message for message in found if message is not None]


async def _get(bus: Bus, stream: str, seq: int) -> Stored | None:
    try:
        got = (await call(bus, f"STREAM.MSG.GET.{stream}", b'{"seq":%d}' % seq, _got)).message
    except StreamError as error:
        if error.err_code == _NO_SUCH_MESSAGE:
            return None
        raise
    headers = parse_headers(b64decode(got.hdrs)) if got.hdrs else {}
    return Stored(got.seq, got.subject, headers, b64decode(got.data))
