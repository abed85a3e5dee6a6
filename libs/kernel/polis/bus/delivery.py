"""One message of a stream on its way to a consumer, and what may be said of it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from polis.bus.client import Bus
from polis.bus.errors import Disconnected
from polis.bus.message import Message

_SHORT = 9
_DELIVERED = 4
"""`$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>` has nine tokens; the longer
form names domain and account before the stream (NATS ADR-15)."""


class Delivery:
    """`num_delivered` counts from 1; `pending` is how many more wait for the consumer.

    What is said is not awaited: an acknowledgement that is lost means a redelivery, which an inbox drops.
    """

    __slots__ = ("_bus", "_message", "consumer_seq", "num_delivered", "pending", "stream_seq")

    def __init__(self, bus: Bus, message: Message) -> None:
        self._bus = bus
        self._message = message
        tokens = message.reply.split(".")
        at = _DELIVERED if len(tokens) == _SHORT else _DELIVERED + 2
        self.num_delivered = int(tokens[at])
        self.stream_seq = int(tokens[at + 1])
        self.consumer_seq = int(tokens[at + 2])
        self.pending = int(tokens[at + 4])

    @property
    def subject(self) -> str:
        return self._message.subject

    @property
    def payload(self) -> bytes:
        return self._message.payload

    @property
    def headers(self) -> Mapping[str, str]:
        return self._message.headers

    def ack(self) -> None:
        """Done: never deliver it again."""
        self._say(b"+ACK")

    def nak(self, delay_s: float = 0.0) -> None:
        """Not done: deliver it again, after a while."""
        self._say(b'-NAK {"delay":%d}' % int(delay_s * 1e9))

    def term(self, reason: str = "") -> None:
        """Given up: never deliver it again."""
        self._say(f"+TERM {reason}".encode())

    def in_progress(self) -> None:
        """Still at work: the time for its acknowledgement starts again."""
        self._say(b"+WPI")

    def _say(self, word: bytes) -> None:
        with suppress(Disconnected):
            self._bus.publish(self._message.reply, word)
