"""Streams and their consumers, spoken over the own client: what a service may do with what `admin` has declared."""

from polis.bus.api import StreamError, WrongLastSequence
from polis.bus.consumer import PullConsumer
from polis.bus.delivery import Delivery
from polis.bus.stream import MSG_ID, Appended, Entry, Log, StreamState, store

__all__ = [
    "MSG_ID",
    "Appended",
    "Delivery",
    "Entry",
    "Log",
    "PullConsumer",
    "StreamError",
    "StreamState",
    "WrongLastSequence",
    "store",
]
