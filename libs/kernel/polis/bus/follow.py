"""A consumer whose subjects its own service changes: for events that are followed because somebody said so, not the contract."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from polis.bus import api
from polis.bus.client import Bus
from polis.bus.permissions import followed_name, stream_name

ACK_WAIT_S = 6
"""So long after its process died an event is delivered to another one; who is at work on one says so more often."""
MAX_ACK_PENDING = 32
"""As many as are worked at: what only waits in a process would be delivered again and again during an outage."""
_created = msgspec.json.Decoder(api.Answer)


async def follow(bus: Bus, source: str, service: str, subjects: Sequence[str]) -> None:
    """Have it deliver these subjects of a service's events; from now on where it is new. StreamError, or a BusError."""
    stream, name = stream_name(source), followed_name(service, source)
    config = {
        "name": name,
        "durable_name": name,
        "deliver_policy": "new",
        "ack_policy": "explicit",
        "ack_wait": ACK_WAIT_S * 1_000_000_000,
        "max_deliver": -1,
        "max_ack_pending": MAX_ACK_PENDING,
        "filter_subjects": list(subjects),
    }
    asked = msgspec.json.encode({"stream_name": stream, "config": config, "action": ""})
    await api.call(bus, f"CONSUMER.CREATE.{stream}.{name}", asked, _created)
