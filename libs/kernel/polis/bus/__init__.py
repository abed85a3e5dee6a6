"""The bus: an own client of NATS's core protocol. Streams are in `jetstream`; nats-py only administers, in `admin`."""

from polis.bus.client import Bus
from polis.bus.errors import (
    AuthenticationFailed,
    BufferFull,
    BusError,
    BusTimeout,
    Disconnected,
    NoResponders,
    PayloadTooLarge,
    PermissionViolation,
)
from polis.bus.message import Message
from polis.bus.subscription import Subscription

__all__ = [
    "AuthenticationFailed",
    "BufferFull",
    "Bus",
    "BusError",
    "BusTimeout",
    "Disconnected",
    "Message",
    "NoResponders",
    "PayloadTooLarge",
    "PermissionViolation",
    "Subscription",
]
