"""What can go wrong on the bus. Every class is a BusError; callers turn them into problems."""

from __future__ import annotations


class BusError(Exception):
    """Anything that the bus refuses or loses."""


class Disconnected(BusError):
    """There is no connection, or it was cut while an answer was awaited: the effect is unknown."""


class BufferFull(Disconnected):
    """The broker takes less than we send, or nothing, and the bound on waiting bytes is reached: not sent."""


class BusTimeout(BusError):
    """No answer within the time given: the effect is unknown."""


class NoResponders(BusError):
    """Nobody listens on the subject: no effect."""


class PermissionViolation(BusError):
    """The broker does not let this user publish or subscribe there: no effect."""


class AuthenticationFailed(BusError):
    """The broker does not know this user and password."""


class PayloadTooLarge(BusError):
    """Headers and payload are more than the broker takes in one message: not sent."""


class DamagedConsumer(BusError):
    """The server has a state of this consumer that it cannot read.

    Without it the consumer begins at the first event again, and its inbox tells the known ones apart.
    """

    def __init__(self, stream: str, consumer: str) -> None:
        super().__init__(
            f"the broker cannot read its state of consumer {consumer} of stream {stream}: end it, delete the folder"
            f" streams/{stream}/obs/{consumer} of its store, and start it again"
        )
        self.stream = stream
        self.consumer = consumer
