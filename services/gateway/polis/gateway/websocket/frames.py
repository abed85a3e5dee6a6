"""Frames as a server sends them: made once, for all who get them (RFC 6455 5)."""

from __future__ import annotations

import struct
from typing import Final

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
FINAL: Final = 0x80
MAX_CONTROL: Final = 125
"""Bytes that a control frame may carry (5.5)."""
NORMAL, GOING_AWAY, PROTOCOL_ERROR, NO_TEXT, TOO_BIG = 1000, 1001, 1002, 1007, 1009
_SHORT, _LONG = 126, 127
_SENDABLE = frozenset({*range(1000, 1004), *range(1007, 1015)})
"""Codes that may stand in a close frame, beside 3000 to 4999 (7.4)."""
_two = struct.Struct(">BBH")
_eight = struct.Struct(">BBQ")


class Fault(Exception):
    """The other side broke the protocol: the connection ends with this code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def frame(opcode: int, payload: bytes) -> bytes:
    """One whole, unmasked frame."""
    size = len(payload)
    if size < _SHORT:
        return bytes((FINAL | opcode, size)) + payload
    if size < 1 << 16:
        return _two.pack(FINAL | opcode, _SHORT, size) + payload
    return _eight.pack(FINAL | opcode, _LONG, size) + payload


def text(payload: bytes) -> bytes:
    """payload: UTF-8."""
    return frame(TEXT, payload)


def binary(payload: bytes) -> bytes:
    return frame(BINARY, payload)


def closing(code: int, reason: str = "") -> bytes:
    """A close frame. reason: cut where it would not fit."""
    told = reason.encode()[: MAX_CONTROL - 2].decode("utf-8", "ignore").encode()
    return frame(CLOSE, code.to_bytes(2, "big") + told)


def code_of(payload: bytes) -> int | None:
    """The code in a close frame that came; None where it holds none. Fault for what may not be said (7.4)."""
    if not payload:
        return None
    if len(payload) == 1:
        raise Fault(PROTOCOL_ERROR, "half a close code")
    code = int.from_bytes(payload[:2], "big")
    if code not in _SENDABLE and not 3000 <= code < 5000:
        raise Fault(PROTOCOL_ERROR, "this close code may not be sent")
    try:
        payload[2:].decode()
    except UnicodeDecodeError:
        raise Fault(NO_TEXT, "the reason is no UTF-8") from None
    return code
