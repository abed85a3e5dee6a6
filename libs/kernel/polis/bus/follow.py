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


class _Place(msgspec.Struct, frozen=True):
    stream_seq: int = 0


class _Info(api.Answer, frozen=True):
    delivered: _Place = _Place()
    ack_floor: _Place = _Place()
    num_ack_pending: int = 0


_info = msgspec.json.Decoder(_Info)


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


async def heard_up_to(bus: Bus, source: str, service: str) -> int:
    """The place in a service's stream up to which all that it delivers is acknowledged. StreamError, or a BusError."""
    return await settled_up_to(bus, stream_name(source), followed_name(service, source))


async def settled_up_to(bus: Bus, stream: str, durable: str) -> int:
    """The same of any consumer."""
    info = await api.call(bus, f"CONSUMER.INFO.{stream}.{durable}", b"", _info)
    return info.ack_floor.stream_seq if info.num_ack_pending else info.delivered.stream_seq
