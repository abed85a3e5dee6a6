"""What travels between a pool and its workers: a length, a number, a kind, and JSON. It imports nothing of ours."""

from __future__ import annotations

from struct import Struct

HEAD = Struct("<IIB")
"""Bytes of the body, kind, and between them the number of a script, or the microseconds that an answer took."""
LOAD, CALL, DROP, CHECK = range(4)
READY, DONE, FAILED, RETIRED = range(4)
MAX_BODY = 16 * 1024 * 1024
"""What a script may emit fits: 4 Mi characters, of three bytes at the most."""


class Frames:
    """Cuts a stream of bytes into frames."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[tuple[int, int, bytes]]:
        """The frames that are whole now: kind, number, body. ValueError for one that nobody sends."""
        rest = self._rest
        rest += data
        frames: list[tuple[int, int, bytes]] = []
        at = 0
        while len(rest) - at >= HEAD.size:
            size, number, kind = HEAD.unpack_from(rest, at)
            if size > MAX_BODY:
                raise ValueError("a frame is too large")
            end = at + HEAD.size + size
            if len(rest) < end:
                break
            frames.append((kind, number, bytes(rest[at + HEAD.size : end])))
            at = end
        del rest[:at]
        return frames


def frame(kind: int, number: int, body: bytes = b"") -> bytes:
    return HEAD.pack(len(body), number, kind) + body
