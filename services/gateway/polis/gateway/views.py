"""How frames of a topic are written: for WebSockets in JSON or MessagePack, for streams of server-sent events.

Equal views make equal frames, so that one is made for all who share a view. What of a topic is told is the sieve's part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from polis.gateway.heard import as_told
from polis.gateway.sieve import sieve
from polis.gateway.websocket import frames
from polis.proto.runtime import RunLogChange

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polis.gateway.audience import Thing
    from polis.gateway.codecs import Codec

_json = msgspec.json.Encoder(enc_hook=as_told)


class View:
    """Whole frames of a WebSocket, as they are written. b"" where nothing is told."""

    __slots__ = ("_codec", "_sieve")

    def __init__(self, codec: Codec, kinds: tuple[str, ...] = (), fields: tuple[str, ...] = ()) -> None:
        self._codec = codec
        self._sieve = sieve(kinds, fields)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, View) and (self._codec, self._sieve) == (other._codec, other._sieve)

    def __hash__(self) -> int:
        return hash((self._codec, self._sieve))

    def snapshot(self, topic: str, seq: int, data: object) -> bytes:
        return self._framed("snapshot", topic, seq, self._sieve.sifted(data))

    def events(self, topic: str, seq: int, things: Sequence[Thing]) -> bytes:
        told = self._sieve.chosen(things)
        if not told and not self._sieve.passes(seq, things):
            return b""
        return self._framed("events", topic, seq, told)

    def end(self, topic: str, seq: int) -> bytes:
        return self._frame(b'{"op":"end","topic":%b,"seq":%d}' % (_json.encode(topic), seq))

    def _framed(self, op: str, topic: str, seq: int, data: object) -> bytes:
        return self._frame(
            b'{"op":"%b","topic":%b,"seq":%d,"data":%b}'
            % (op.encode(), _json.encode(topic), seq, _json.encode(data))
        )

    def _frame(self, payload: bytes) -> bytes:
        payload = self._codec.of_json(payload)
        return frames.binary(payload) if self._codec.binary else frames.text(payload)


class StreamView:
    """Server-sent events (WHATWG HTML 9.2). name: what one change is called; a line of a run's log is `log`."""

    __slots__ = ("_name", "_sieve")

    def __init__(self, name: str, kinds: tuple[str, ...] = (), fields: tuple[str, ...] = ()) -> None:
        self._name = name.encode()
        self._sieve = sieve(kinds, fields)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StreamView) and (self._name, self._sieve) == (other._name, other._sieve)

    def __hash__(self) -> int:
        return hash((self._name, self._sieve))

    def snapshot(self, topic: str, seq: int, data: object) -> bytes:
        del topic
        return b"id: %d\nevent: snapshot\ndata: %b\n\n" % (seq, _json.encode(self._sieve.sifted(data)))

    def events(self, topic: str, seq: int, things: Sequence[Thing]) -> bytes:
        """Each with its number; one that tells a number alone has no name, and is no event to a browser."""
        del topic
        told = [
            b"id: %d\nevent: %b\ndata: %b\n\n" % (thing.seq, self._named(thing), _json.encode(shown))
            for thing, shown in self._sieve.each(things)
        ]
        if self._sieve.passes(seq, things):
            told.append(b"id: %d\n\n" % seq)
        return b"".join(told)

    def _named(self, thing: Thing) -> bytes:
        return b"log" if isinstance(thing, RunLogChange) else self._name

    def end(self, topic: str, seq: int) -> bytes:
        del topic
        return b"id: %d\nevent: end\ndata: {}\n\n" % seq
