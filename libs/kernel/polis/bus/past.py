"""What a stream holds already, from a moment on: for services that follow events by a consumer which did not hear them yet."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from polis.bus import api
from polis.bus.api import Answer, StreamError
from polis.bus.message import parse_headers
from polis.bus.permissions import stream_name

if TYPE_CHECKING:
    from polis.bus.client import Bus

_NO_SUCH_MESSAGE = 10037


class Told(msgspec.Struct, frozen=True):
    """A message that a stream holds, and when it was stored."""

    seq: int
    subject: str
    stored_at: datetime
    headers: Mapping[str, str]
    payload: bytes


class _Message(msgspec.Struct, frozen=True):
    seq: int
    subject: str
    time: datetime
    hdrs: str = ""
    data: str = ""


class _Got(Answer, frozen=True):
    message: _Message | None = None


_got = msgspec.json.Decoder(_Got)


async def past(bus: Bus, source: str, subject: str, since: datetime | int) -> AsyncGenerator[Told, None]:
    """What was told by a service under a subject, which may have wildcards, one request a message. StreamError, or a BusError.

    since: a moment, or a place in the stream.
    """
    place: dict[str, object] = (
        {"seq": since} if isinstance(since, int) else {"start_time": since.astimezone(UTC)}
    )
    while True:
        asked = msgspec.json.encode({**place, "next_by_subj": subject})
        try:
            found = (await api.call(bus, f"STREAM.MSG.GET.{stream_name(source)}", asked, _got)).message
        except StreamError as error:
            if error.err_code == _NO_SUCH_MESSAGE:
                return
            raise
        if found is None:
            return
        headers = parse_headers(b64decode(found.hdrs)) if found.hdrs else {}
        yield Told(found.seq, found.subject, found.time, headers, b64decode(found.data))
        place = {"seq": found.seq + 1}
