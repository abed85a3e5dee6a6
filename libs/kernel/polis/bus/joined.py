"""Several calls of one operation, or several answers to one caller, in one message of the broker.

What a message costs there and in both clients is paid once for all that one turn of the loop brings. A call that is alone
travels as the plain message that any client of NATS sends; only who asked with joined calls gets joined answers, each
as soon as it is there: a slow one does not hold up the others.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

HEAD = b"NATS/1.0\r\nPolis-Joined: 1\r\n\r\n"
MOST_BYTES = 16 * 1024
"""What is larger goes alone: it has little to gain, and what is joined stays far below what the broker takes."""
MOST = 32

_SIZES = struct.Struct(">QII")
"""Before each part: its number, the bytes of its headers, the bytes of its payload."""


class Joint:
    """What goes to one address by the next write. alone and together make the address of one number, or of many."""

    __slots__ = ("_alone", "_parts", "_together")

    def __init__(self, alone: Callable[[int], str], together: Callable[[list[int]], str]) -> None:
        self._alone = alone
        self._together = together
        self._parts: list[tuple[int, bytes, bytes]] = []

    def add(self, number: int, head: bytes, payload: bytes) -> bool:
        """Whether it is the first since the last write."""
        self._parts.append((number, head, payload))
        return len(self._parts) == 1

    def clear(self) -> None:
        self._parts.clear()

    def write(self, chunks: list[bytes]) -> None:
        """Add the messages to what is written, and be empty again."""
        parts, self._parts = self._parts, []
        for at in range(0, len(parts), MOST):
            some = parts[at : at + MOST]
            if len(some) == 1:
                ((number, head, payload),) = some
                chunks += (line(self._alone(number), head, len(payload)), head, payload, b"\r\n")
            else:
                self._write_many(some, chunks)

    def _write_many(self, parts: list[tuple[int, bytes, bytes]], chunks: list[bytes]) -> None:
        body: list[bytes] = []
        size = 0
        for number, head, payload in parts:
            body += (_SIZES.pack(number, len(head), len(payload)), head, payload)
            size += _SIZES.size + len(head) + len(payload)
        address = self._together([number for number, _, _ in parts])
        chunks += (line(address, HEAD, size), HEAD, *body, b"\r\n")


def line(address: str, head: bytes, size: int) -> bytes:
    """The first line of a message with so many bytes of payload."""
    if head:
        return f"HPUB {address} {len(head)} {len(head) + size}\r\n".encode()
    return f"PUB {address} {size}\r\n".encode()


def split(body: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Number, headers and payload of each part. ValueError when it does not end where it says."""
    at, end = 0, len(body)
    while at < end:
        if at + _SIZES.size > end:
            raise ValueError("joined parts that break off")
        number, head_size, size = _SIZES.unpack_from(body, at)
        start = at + _SIZES.size
        middle = start + head_size
        at = middle + size
        if at > end:
            raise ValueError("joined parts that break off")
        yield number, body[start:middle], body[middle:at]
