"""A stream from the side of its single writer. A publish is a request, so a window of many costs little.

Streams and consumers are declared by `admin`; services have no right to make or change them.
"""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import Mapping
from functools import partial

import msgspec

from polis.bus import api
from polis.bus.api import Answer, StreamError, WrongLastSequence
from polis.bus.client import Bus
from polis.bus.message import Message, parse_headers

_MSG_ID = "Nats-Msg-Id"
_EXPECTED_LAST_SEQUENCE = "Nats-Expected-Last-Sequence"
_NO_SUCH_MESSAGE = 10037


class StreamState(msgspec.Struct, frozen=True):
    """What a stream holds. An emptied stream keeps its `last_seq`; a wiped and declared one starts at 0 again."""

    messages: int
    first_seq: int
    last_seq: int


class _Ack(Answer, frozen=True):
    seq: int = 0


class _Info(Answer, frozen=True):
    state: StreamState = StreamState(0, 0, 0)


class _Kept(msgspec.Struct, frozen=True):
    hdrs: str = ""


class _Got(Answer, frozen=True):
    message: _Kept = _Kept()


_ack = msgspec.json.Decoder(_Ack)
_info = msgspec.json.Decoder(_Info)
_got = msgspec.json.Decoder(_Got)


class Log:
    """Appends where the writer believes the stream to stand, so that a second writer is refused, not interleaved."""

    def __init__(self, bus: Bus, stream: str) -> None:
        self._bus = bus
        self.stream = stream

    def append_nowait(
        self,
        subject: str,
        payload: bytes,
        headers: Mapping[str, str],
        *,
        msg_id: str,
        expected_last_seq: int,
        timeout_s: float,
    ) -> asyncio.Future[int]:
        """A future of the sequence under which it is stored, always `expected_last_seq + 1`.

        Many may be in flight, each expecting the one before; when one is refused, so is every one behind it.
        WrongLastSequence, also for an id that the stream knows from another place; StreamError, BusTimeout,
        NoResponders (no stream takes the subject), PermissionViolation. Disconnected and BufferFull are raised at once.
        """
        return self._bus.ask(
            subject,
            payload,
            headers={**headers, _MSG_ID: msg_id, _EXPECTED_LAST_SEQUENCE: str(expected_last_seq)},
            timeout_s=timeout_s,
            read=partial(_appended, expected_last_seq + 1),
        )

    async def append(
        self,
        subject: str,
        payload: bytes,
        headers: Mapping[str, str],
        *,
        msg_id: str,
        expected_last_seq: int,
        timeout_s: float,
    ) -> int:
        """As `append_nowait`, awaited."""
        return await self.append_nowait(
            subject,
            payload,
            headers,
            msg_id=msg_id,
            expected_last_seq=expected_last_seq,
            timeout_s=timeout_s,
        )

    async def info(self) -> StreamState:
        """Where the stream stands. StreamError when there is none of this name."""
        return (await api.call(self._bus, f"STREAM.INFO.{self.stream}", b"", _info)).state

    async def message(self, seq: int) -> Mapping[str, str] | None:
        """The headers of a stored message; None when the stream does not hold that sequence."""
        try:
            got = await api.call(self._bus, f"STREAM.MSG.GET.{self.stream}", b'{"seq":%d}' % seq, _got)
        except StreamError as error:
            if error.err_code == _NO_SUCH_MESSAGE:
                return None
            raise
        return parse_headers(b64decode(got.message.hdrs))


async def store(
    bus: Bus, subject: str, payload: bytes, headers: Mapping[str, str], *, msg_id: str, timeout_s: float
) -> int:
    """Store a message in whichever stream takes the subject, at its end; its sequence, old when the id is known there.

    StreamError, BusTimeout, NoResponders (no stream takes the subject), PermissionViolation, Disconnected.
    """
    return await bus.ask(
        subject, payload, headers={**headers, _MSG_ID: msg_id}, timeout_s=timeout_s, read=_stored
    )


def _stored(message: Message) -> int:
    return api.checked(_ack.decode(message.payload)).seq


def _appended(expected: int, message: Message) -> int:
    seq = _stored(message)
    if seq != expected:
        raise WrongLastSequence(f"the stream knows this id as message {seq}, not {expected}", None)
    return seq
