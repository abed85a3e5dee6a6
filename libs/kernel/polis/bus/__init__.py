"""The bus: an own client of NATS's core protocol. Streams are in `jetstream`; nats-py only administers, in `admin`."""

from polis.bus.client import Bus, Subscription
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
