"""The contract of the mesh: each module declares one service's operations, events and problems, once."""

from polis.proto.contract import (
    INTERNAL,
    PUBLIC,
    SIGNED_IN,
    Cursor,
    Event,
    Limit,
    Operation,
    Page,
    Problem,
    Request,
    Stream,
    Time,
)
from polis.proto.problems import Refused

__all__ = [
    "INTERNAL",
    "PUBLIC",
    "SIGNED_IN",
    "Cursor",
    "Event",
    "Limit",
    "Operation",
    "Page",
    "Problem",
    "Refused",
    "Request",
    "Stream",
    "Time",
]
