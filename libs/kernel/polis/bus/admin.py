"""Declares the streams and consumers that the contract implies. Run at deploy, as the admin user: no service may."""

from __future__ import annotations

from collections.abc import Sequence

import nats
from nats.js.api import AckPolicy, ConsumerConfig, DiscardPolicy, StorageType, StreamConfig
from nats.js.client import JetStreamContext
from nats.js.errors import BadRequestError, ServerError

from polis.bus.errors import DamagedConsumer
from polis.bus.permissions import ADMIN, durable_name, inbox_prefix, stream_name
from polis.proto import registry
from polis.proto.contract import EventType, events

DAY_S = 24 * 3600.0
EVENTS_MAX_AGE_S = 7 * DAY_S
EVENTS_MAX_BYTES = 512 * 1024 * 1024
DEAD = "DEAD"
DEAD_MAX_AGE_S = 30 * DAY_S
DEAD_MAX_BYTES = 128 * 1024 * 1024
DUPLICATE_WINDOW_S = 600.0
ACK_WAIT_S = 30.0
"""After so long without an acknowledgement or a sign of work an event is delivered again: its consumer is gone."""
MAX_ACK_PENDING = 1000
_TIMEOUT_S = 10.0
_NAME_IN_USE = 10058
_NO_CONSUMER_STORE = 10012


async def declare(url: str, user: str = ADMIN, password: str = "", *, replicas: int = 1) -> None:
    """Make or bring up to date every stream and durable consumer of the contract; nothing is ever deleted here.

    Raises DamagedConsumer for one whose stored state the server cannot read, as after a power cut.
    """
    registry.load()
    client = await nats.connect(
        servers=url.split(","),
        user=user,
        password=password,
        name="polis-admin",
        inbox_prefix=inbox_prefix(ADMIN),
        allow_reconnect=False,
        connect_timeout=int(_TIMEOUT_S),
    )
    try:
        jetstream = client.jetstream(timeout=_TIMEOUT_S)
        for stream in streams(replicas):
            await _declare_stream(jetstream, stream)
        for stream_of, consumer in consumers():
            await _declare_consumer(jetstream, stream_of, consumer)
    finally:
        await client.close()


def streams(replicas: int = 1) -> tuple[StreamConfig, ...]:
    """One of each service that publishes events, and one of dead letters. A full one lets its oldest messages go."""
    sources = dict.fromkeys(e.service for e in events())
    return (
        *(
            _stream(stream_name(s), f"event.{s}.>", EVENTS_MAX_BYTES, EVENTS_MAX_AGE_S, replicas)
            for s in sources
        ),
        _stream(DEAD, "dead.>", DEAD_MAX_BYTES, DEAD_MAX_AGE_S, replicas),
    )


def consumers() -> tuple[tuple[str, ConsumerConfig], ...]:
    """One durable for each pair of listener and source, with the stream it reads; it sees the declared events only."""
    heard: dict[tuple[str, str], list[EventType]] = {}
    for event in events():
        for listener in event.listeners:
            heard.setdefault((listener, event.service), []).append(event)
    return tuple(
        (stream_name(source), _consumer(durable_name(listener, source), types))
        for (listener, source), types in heard.items()
    )


def _stream(name: str, subject: str, max_bytes: int, max_age_s: float, replicas: int) -> StreamConfig:
    return StreamConfig(
        name=name,
        subjects=[subject],
        storage=StorageType.FILE,
        discard=DiscardPolicy.OLD,
        max_bytes=max_bytes,
        max_age=max_age_s,
        duplicate_window=DUPLICATE_WINDOW_S,
        num_replicas=replicas,
    )


def _consumer(name: str, types: Sequence[EventType]) -> ConsumerConfig:
    """Poison is the inbox's to find, so the server delivers without an end (`max_deliver` -1)."""
    return ConsumerConfig(
        name=name,
        durable_name=name,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=ACK_WAIT_S,
        max_deliver=-1,
        max_ack_pending=MAX_ACK_PENDING,
        filter_subjects=[e.pattern for e in types],
    )


async def _declare_stream(jetstream: JetStreamContext, stream: StreamConfig) -> None:
    try:
        await jetstream.add_stream(stream)
    except BadRequestError as error:
        if error.err_code != _NAME_IN_USE:
            raise
        await jetstream.update_stream(stream)


async def _declare_consumer(jetstream: JetStreamContext, stream: str, consumer: ConsumerConfig) -> None:
    try:
        await jetstream.add_consumer(stream, consumer)
    except ServerError as error:
        if error.err_code != _NO_CONSUMER_STORE:
            raise
        raise DamagedConsumer(stream, str(consumer.name)) from error
