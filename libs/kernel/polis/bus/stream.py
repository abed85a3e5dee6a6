"""A stream from the side of its single writer. A publish is a request, so a window of many costs little.

Streams and consumers are declared by `admin`; services have no right to make or change them.
"""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import Mapping, Sequence

import msgspec

from polis.bus import api
from polis.bus.api import Answer, StreamError, WrongLastSequence
from polis.bus.client import Bus
from polis.bus.errors import BusError
from polis.bus.message import Message, parse_headers
from polis.bus.protocol import header_block

MSG_ID = "Nats-Msg-Id"
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


class Entry(msgspec.Struct, frozen=True):
    """What is to be appended. The stream takes no second one of the same `msg_id`, a word.

    lines: its other headers, as `header_lines` makes them.
    """

    subject: str
    payload: bytes
    lines: str
    msg_id: str


class Appended(msgspec.Struct, frozen=True):
    """How many entries stand in the stream, from the first one on, and what was wrong with the one behind them."""

    stored: int
    failure: Exception | None = None


class Log:
    """Appends where the writer believes the stream to stand, so that a second writer is refused, not interleaved."""

    def __init__(self, bus: Bus, stream: str) -> None:
        self._bus = bus
        self.stream = stream
        self._is_agreed = False

    async def append(self, entries: Sequence[Entry], *, expected_last_seq: int, timeout_s: float) -> Appended:
        """Store these one behind the other, the first at `expected_last_seq + 1`; how many are, and why not more.

        All are in flight at once, each expecting the one before, so the last one's answer is that of all. What is behind
        one that was refused may be stored or not. After a failure, and at first, each is asked about, which tells what was
        wrong with which; until then it is unknown how many are stored, and none are said to be.
        What may be wrong: WrongLastSequence, also for an id that the stream knows from another place; StreamError,
        BusTimeout, NoResponders (no stream takes the subject), PermissionViolation, Disconnected, BufferFull.
        """
        if not entries:
            return Appended(0)
        append = self._append_agreed if self._is_agreed else self._append_one_by_one
        appended = await append(entries, expected_last_seq, timeout_s)
        self._is_agreed = appended.failure is None
        return appended

    async def _append_agreed(self, entries: Sequence[Entry], last_seq: int, timeout_s: float) -> Appended:
        *before, last = entries
        try:
            for number, entry in enumerate(before, start=last_seq):
                self._bus.publish(entry.subject, entry.payload, headers=_head(entry, number))
            headers = _head(last, last_seq + len(before))
            seq = await self._bus.ask(
                last.subject, last.payload, headers=headers, timeout_s=timeout_s, read=_stored
            )
        except (BusError, StreamError, ValueError, msgspec.MsgspecError) as failure:
            return Appended(0, failure)
        expected = last_seq + len(entries)
        return Appended(len(entries)) if seq == expected else Appended(0, _elsewhere(seq, expected))

    async def _append_one_by_one(self, entries: Sequence[Entry], last_seq: int, timeout_s: float) -> Appended:
        window = _Window(last_seq + 1, asyncio.get_running_loop())
        try:
            for number, entry in enumerate(entries, start=last_seq):
                headers = _head(entry, number)
                self._bus.ask_for(window, entry.subject, entry.payload, headers=headers, timeout_s=timeout_s)
                window.sent += 1
        except (BusError, ValueError) as failure:
            return await window.closed(failure)
        return await window.closed(None)

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
        subject, payload, headers={**headers, MSG_ID: msg_id}, timeout_s=timeout_s, read=_stored
    )


def _stored(message: Message) -> int:
    return api.checked(_ack.decode(message.payload)).seq


def _head(entry: Entry, last_seq: int) -> bytes:
    return header_block(f"{entry.lines}{MSG_ID}: {entry.msg_id}\r\n{_EXPECTED_LAST_SEQUENCE}: {last_seq}\r\n")


def _elsewhere(seq: int, expected: int) -> WrongLastSequence:
    return WrongLastSequence(f"the stream knows this id as message {seq}, not {expected}", None)


class _Window:
    """The answers to entries that are in flight together; they come in the order of the entries."""

    __slots__ = ("_ended", "_failure", "_first", "_stored", "_whole", "sent")

    def __init__(self, first: int, loop: asyncio.AbstractEventLoop) -> None:
        self.sent = 0
        self._first = first
        self._stored = 0
        self._whole = False
        self._failure: Exception | None = None
        self._ended: asyncio.Future[Appended] = loop.create_future()

    async def closed(self, failure: Exception | None) -> Appended:
        """What became of all that was sent, and of one more that could not be."""
        self._whole = True
        self._failure = failure
        self._end_when_over()
        return await self._ended

    def done(self) -> bool:
        return self._ended.done()

    def set_result(self, reply: Message) -> None:
        expected = self._first + self._stored
        try:
            seq = _stored(reply)
        except (StreamError, msgspec.MsgspecError) as failure:
            self.set_exception(failure)
            return
        if seq != expected:
            self.set_exception(_elsewhere(seq, expected))
            return
        self._stored += 1
        self._end_when_over()

    def set_exception(self, failure: BaseException) -> None:
        if not isinstance(failure, Exception):
            raise failure
        self._ended.set_result(Appended(self._stored, failure))

    def _end_when_over(self) -> None:
        if self._whole and self._stored == self.sent and not self._ended.done():
            self._ended.set_result(Appended(self._stored, self._failure))
