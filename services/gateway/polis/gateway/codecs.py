"""The two ways in which frames of a live socket are written: JSON, or the same values in MessagePack, by subprotocol.

Services answer in JSON, and what is read from them is passed on as it is; MessagePack is made of it, value by value, so that
moments and ids are the same texts in both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from polis.proto.live import JSON_PROTOCOL, MSGPACK_PROTOCOL, said_in_json, said_in_msgpack

if TYPE_CHECKING:
    from collections.abc import Iterable

    from polis.proto.live import Said


class Codec(Protocol):
    """`binary`: whether its frames are. Payloads of frames are what is told here, without the socket's own framing."""

    protocol: str
    binary: bool

    def said(self, payload: str | bytes) -> Said:
        """What a client says. msgspec.DecodeError."""

    def to_json(self, value: bytes) -> bytes:
        """A value inside a frame as JSON."""

    def of_json(self, frame: bytes) -> bytes:
        """A whole frame that was made in JSON."""

    def ack(self, call_id: int, answer: bytes) -> bytes:
        """answer: as JSON."""

    def problem(self, call_id: int, problem: bytes) -> bytes:
        """problem: as JSON."""


class _Json:
    protocol, binary = JSON_PROTOCOL, False
    said = staticmethod(said_in_json.decode)

    def to_json(self, value: bytes) -> bytes:
        return value

    def of_json(self, frame: bytes) -> bytes:
        return frame

    def ack(self, call_id: int, answer: bytes) -> bytes:
        return b'{"op":"ack","id":%d,"data":%b}' % (call_id, answer)

    def problem(self, call_id: int, problem: bytes) -> bytes:
        return b'{"op":"problem","id":%d,"problem":%b}' % (call_id, problem)


class _MessagePack:
    protocol, binary = MSGPACK_PROTOCOL, True

    def said(self, payload: str | bytes) -> Said:
        if isinstance(payload, str):
            raise msgspec.DecodeError("a text, where MessagePack was agreed on")
        said: Said = said_in_msgpack.decode(payload)
        return said

    def to_json(self, value: bytes) -> bytes:
        return msgspec.json.encode(msgspec.msgpack.decode(value))

    def of_json(self, frame: bytes) -> bytes:
        value = msgspec.json.decode(frame)
        try:
            return msgspec.msgpack.encode(value)
        except OverflowError:
            return msgspec.msgpack.encode(_narrowed(value))

    def ack(self, call_id: int, answer: bytes) -> bytes:
        return self.of_json(JSON_FRAMES.ack(call_id, answer))

    def problem(self, call_id: int, problem: bytes) -> bytes:
        return self.of_json(JSON_FRAMES.problem(call_id, problem))


def _narrowed(value: object) -> object:
    """Integers of more than 64 bits, which MessagePack does not have, as the doubles that most readers of JSON take them for."""
    match value:
        case dict():
            return {name: _narrowed(each) for name, each in value.items()}
        case list():
            return [_narrowed(each) for each in value]
        case int() if not -(2**63) <= value < 2**64:
            return float(str(value))  # of a text, also where it is infinite
        case _:
            return value


JSON_FRAMES: Codec = _Json()
MSGPACK_FRAMES: Codec = _MessagePack()
_BY_PROTOCOL = {codec.protocol: codec for codec in (JSON_FRAMES, MSGPACK_FRAMES)}


def chosen(offered: Iterable[str]) -> tuple[Codec, str]:
    """The way that a client wants, and the subprotocol to answer with: "" where it named none that we know."""
    for protocol in offered:
        codec = _BY_PROTOCOL.get(protocol.strip())
        if codec is not None:
            return codec, codec.protocol
    return JSON_FRAMES, ""
