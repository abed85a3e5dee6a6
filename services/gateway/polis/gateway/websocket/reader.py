"""What a client's bytes say: messages that are whole, and control frames between their parts (RFC 6455 5).

Whatever breaks the rules is a Fault, as soon as it can be known: a size before its bytes are there, a text at the first
fragment that is no UTF-8.
"""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Final

from polis.gateway.websocket.frames import (
    BINARY,
    CONTINUATION,
    FINAL,
    MAX_CONTROL,
    NO_TEXT,
    PROTOCOL_ERROR,
    TEXT,
    TOO_BIG,
    Fault,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_RESERVED_BITS, _OPCODE, _CONTROL, _MASKED, _SIZE = 0x70, 0x0F, 0x08, 0x80, 0x7F
_LONGER: Final = {126: 2, 127: 8}
"""Bytes of the longer forms of a size."""
_LEAST: Final = {2: 126, 8: 1 << 16}
"""What each of them is for: a shorter one would say less (5.2)."""
_KNOWN = frozenset({0x0, 0x1, 0x2, 0x8, 0x9, 0xA})
_WHOLE = frozenset({FINAL | TEXT, FINAL | BINARY})
"""How a message begins that is one frame, as most are: where no other is under way, nothing is wrong with that."""
_KEY_BYTES = 4
_text_decoder = codecs.getincrementaldecoder("utf-8")


class Reader:
    """Takes bytes as they come. max_bytes: of one message, however many fragments it has."""

    __slots__ = ("_decoder", "_kind", "_max", "_need", "_parts", "_rest", "_size")

    def __init__(self, max_bytes: int) -> None:
        self._max = max_bytes
        self._rest: bytearray | None = None
        self._need = 0
        self._kind = CONTINUATION
        """Of the message whose fragments are coming; CONTINUATION: of none."""
        self._size = 0
        self._parts: list[str] | list[bytes] | None = None
        self._decoder: codecs.IncrementalDecoder | None = None

    def feed(self, data: bytes) -> Iterator[tuple[int, str | bytes]]:
        """What these bytes complete: (TEXT, str), (BINARY, bytes), and control frames with their bytes. Fault."""
        if self._rest is not None:
            self._rest += data
            if len(self._rest) < self._need:
                return
            data, self._rest = bytes(self._rest), None
        at, end = 0, len(data)
        while at < end:
            start, stop = self._bounds(data, at, end)
            if stop > end:
                self._rest, self._need = bytearray(data[at:]), stop - at
                return
            first = data[at]
            payload = _unmasked(data, start, stop) if stop > start else b""
            at = stop
            if first & _CONTROL:
                yield first & _OPCODE, payload
            elif first & FINAL and first & _OPCODE:
                yield first & _OPCODE, _text_of(payload) if first & _OPCODE == TEXT else payload
            else:
                self._add(first & _OPCODE, payload, last=bool(first & FINAL))
                if first & FINAL:
                    yield self._whole()

    def _bounds(self, data: bytes, at: int, end: int) -> tuple[int, int]:
        """Where the payload of the frame begins and ends; or, beyond `end`, up to where bytes are needed to tell."""
        if end - at < 2:
            return 0, at + 2
        first, second = data[at], data[at + 1]
        if first not in _WHOLE or second < _MASKED or self._kind != CONTINUATION:
            self._check(first, second)
        size, start = second & _SIZE, at + 2
        longer = _LONGER.get(size, 0)
        if longer:
            start += longer
            if end < start:
                return 0, start
            size = int.from_bytes(data[at + 2 : start], "big")
            if size < _LEAST[longer]:
                raise Fault(PROTOCOL_ERROR, "a size in more bytes than it needs")
        if not first & _CONTROL and self._size + size > self._max:
            raise Fault(TOO_BIG, f"a message has up to {self._max} bytes")
        start += _KEY_BYTES
        return start, start + size

    def _check(self, first: int, second: int) -> None:
        """What the first two bytes of a frame may not say."""
        opcode = first & _OPCODE
        if first & _RESERVED_BITS:
            raise Fault(PROTOCOL_ERROR, "no extension was agreed on")
        if opcode not in _KNOWN:
            raise Fault(PROTOCOL_ERROR, "an unknown kind of frame")
        if not second & _MASKED:
            raise Fault(PROTOCOL_ERROR, "what a client sends is masked")
        if opcode & _CONTROL:
            if not first & FINAL or second & _SIZE > MAX_CONTROL:
                raise Fault(PROTOCOL_ERROR, "a control frame is short and whole")
        elif (opcode == CONTINUATION) is (self._kind == CONTINUATION):
            raise Fault(PROTOCOL_ERROR, "a fragment out of order")

    def _add(self, opcode: int, payload: bytes, *, last: bool) -> None:
        """One fragment. A text is decoded as it comes: it is refused where it breaks, not at its end."""
        if opcode:
            self._kind = opcode
            self._parts = []
            self._decoder = _text_decoder() if opcode == TEXT else None
        self._size += len(payload)
        parts: list[object] = self._parts  # type: ignore[assignment]  # of one kind, as the message is
        if self._decoder is not None:
            try:
                parts.append(self._decoder.decode(payload, final=last))
            except UnicodeDecodeError:
                raise Fault(NO_TEXT, "a text is UTF-8") from None
        elif payload:
            parts.append(payload)

    def _whole(self) -> tuple[int, str | bytes]:
        kind, parts = self._kind, self._parts
        self._kind, self._size, self._parts, self._decoder = CONTINUATION, 0, None, None
        return kind, ("" if kind == TEXT else b"").join(parts)  # type: ignore[arg-type]  # as above


def _text_of(payload: bytes) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise Fault(NO_TEXT, "a text is UTF-8") from None


def _unmasked(data: bytes, start: int, stop: int) -> bytes:
    """The payload without its mask: as two numbers, for that is the one loop that Python runs in C (5.3)."""
    size = stop - start
    key = data[start - _KEY_BYTES : start]
    mask = (key * (size // _KEY_BYTES + 1))[:size]
    number = int.from_bytes(data[start:stop], "little") ^ int.from_bytes(mask, "little")
    return number.to_bytes(size, "little")
