"""WebSocket frames as clients send them, right or wrong (RFC 6455 5)."""

from __future__ import annotations

_KEY = bytes((0x37, 0xFA, 0x21, 0x3D))


def said(opcode: int, payload: bytes = b"", *, final: bool = True, first: int = 0) -> bytes:
    """A masked frame. first: more bits of its first byte."""
    size = len(payload)
    head = bytes((opcode | first | (0x80 if final else 0),))
    if size < 126:
        head += bytes((0x80 | size,))
    elif size < 1 << 16:
        head += b"\xfe" + size.to_bytes(2, "big")
    else:
        head += b"\xff" + size.to_bytes(8, "big")
    return head + _KEY + bytes(byte ^ _KEY[n % 4] for n, byte in enumerate(payload))
