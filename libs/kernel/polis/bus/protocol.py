"""The NATS client protocol as text: lines out, messages and control lines in. Knows no socket.

Source: https://docs.nats.io/reference/reference-protocols/nats-protocol and ADR-4 (headers).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

CRLF = b"\r\n"
PING = b"PING\r\n"
PONG = b"PONG\r\n"
_MAX_LINE = 1024 * 1024
_M, _H, _CR = b"MH\r"
_FIELDS_OF_MSG, _FIELDS_OF_HMSG = 5, 6
"""MSG subject sid [reply] size, HMSG subject sid [reply] head-size size: with a reply, one more than without."""


class Receiver(Protocol):
    """Takes the messages of one subscription."""

    def deliver(self, subject: bytes, reply: bytes, head: bytes, payload: bytes) -> None: ...


Headers = Mapping[str, str] | bytes
"""By name, or the block that they make."""


def header_lines(headers: Mapping[str, str]) -> str:
    """Lines of a header block. ValueError when a name or value holds a line break, which would forge another header."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if not lines.count("\n") == lines.count("\r") == len(headers):
        raise ValueError(f"one of the headers {list(headers)} holds a line break")
    return lines


def one_line(value: str) -> str:
    """The value of a header that is written by hand. ValueError as in `header_lines`."""
    if "\n" in value or "\r" in value:
        raise ValueError(f"the header's value {value!r} holds a line break")
    return value


def header_block(lines: str) -> bytes:
    """lines: as `header_lines` makes them."""
    return f"NATS/1.0\r\n{lines}\r\n".encode()


def encode_headers(headers: Headers | None) -> bytes:
    """Their block; nothing where there are none. ValueError as in `header_lines`."""
    if not headers:
        return b""
    return headers if isinstance(headers, bytes) else header_block(header_lines(headers))


def check_subject(subject: str) -> None:
    """ValueError when a subject is empty or holds what would end it on the wire."""
    if subject.split() != [subject] or "\0" in subject:
        raise ValueError(f"not a subject: {subject!r}")


def subscribe_line(subject: str, queue: str, sid: int) -> bytes:
    return f"SUB {subject} {queue} {sid}\r\n".encode() if queue else f"SUB {subject} {sid}\r\n".encode()


def unsubscribe_line(sid: int) -> bytes:
    return b"UNSUB %d\r\n" % sid


class Parser:
    """Cuts what arrives into messages and control lines, however it was split on the way.

    A message goes to the receiver of its subscription id; one that was on its way when interest ended is dropped.

    ValueError or IndexError from `feed` mean that the other side does not speak the protocol.
    """

    __slots__ = ("_held", "_held_size", "_on_control", "_receivers", "_wanted")

    def __init__(self, receivers: Mapping[bytes, Receiver], on_control: Callable[[bytes], None]) -> None:
        self._receivers = receivers
        self._on_control = on_control
        self._held: list[bytes] = []
        self._held_size = 0
        self._wanted = 0

    def feed(self, data: bytes) -> None:
        if self._held:
            data = self._with_held(data)
        receivers = self._receivers
        at, end = 0, len(data)
        while at < end:
            line_end = data.find(CRLF, at)
            if line_end < 0:
                self._hold(data, at, wanted=0)
                return
            kind = data[at]
            if kind != _M and kind != _H:  # noqa: PLR1714 - a tuple costs more than the comparison
                self._on_control(data[at:line_end])
                at = line_end + 2
                continue
            fields = data[at:line_end].split()
            start = line_end + 2
            stop = start + int(fields[-1])
            if stop + 2 > end:
                self._hold(data, at, wanted=stop + 2 - at)
                return
            if stop < start or data[stop] != _CR:
                raise ValueError(f"a payload that does not end where {data[at:line_end]!r} says")
            at = stop + 2
            receiver = receivers.get(fields[2])
            if receiver is None:
                continue
            if kind == _M:
                reply = fields[3] if len(fields) == _FIELDS_OF_MSG else b""
                receiver.deliver(fields[1], reply, b"", data[start:stop])
            else:
                reply = fields[3] if len(fields) == _FIELDS_OF_HMSG else b""
                body = start + int(fields[-2])
                receiver.deliver(fields[1], reply, data[start:body], data[body:stop])

    def _hold(self, data: bytes, at: int, *, wanted: int) -> None:
        """Keep an unfinished message; its pieces are only joined when all `wanted` bytes are there."""
        rest = data[at:]
        if not wanted and len(rest) > _MAX_LINE:
            raise ValueError("a line without an end")
        self._held.append(rest)
        self._held_size = len(rest)
        self._wanted = wanted

    def _with_held(self, data: bytes) -> bytes:
        self._held.append(data)
        self._held_size += len(data)
        if self._held_size < self._wanted:
            return b""
        whole = b"".join(self._held)
        self._held.clear()
        return whole
