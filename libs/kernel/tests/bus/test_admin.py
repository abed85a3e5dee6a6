"""What the contract implies is declared, again and again, and follows the contract when it changes."""

from __future__ import annotations

import nats
import pytest
from nats.js.api import ConsumerConfig

from polis.bus import admin
from polis.proto import registry
from polis.proto.contract import events

registry.load()


@pytest.fixture
async def jetstream(broker, connect):
    await connect(broker.url)
    client = await nats.connect(broker.url)
    yield client.jetstream()
    await client.close()


async def declared(jetstream) -> dict[str, dict[str, set[str]]]:
    """Streams with their consumers with the subjects they take."""
    found: dict[str, dict[str, set[str]]] = {}
    for stream in await jetstream.streams_info():
        consumers = await jetstream.consumers_info(stream.config.name)
        found[stream.config.name] = {
            c.name: set(c.config.filter_subjects or [c.config.filter_subject]) for c in consumers
        }
    return found


async def test_each_publisher_has_a_stream_and_each_listener_a_durable(broker, jetstream):
    expected: dict[str, dict[str, set[str]]] = {admin.DEAD: {}}
    for event in events():
        of_stream = expected.setdefault(f"EVENTS_{event.service.upper()}", {})
        for listener in event.listeners:
            of_stream.setdefault(f"{listener}_{event.service}", set()).add(event.pattern)

    for _ in range(2):
        await admin.declare(broker.url)
        assert await declared(jetstream) == expected


async def test_every_stream_has_its_own_bounds_and_takes_no_requests(broker, jetstream):
    await admin.declare(broker.url)

    for stream in await jetstream.streams_info():
        assert stream.config.max_bytes > 0
        assert stream.config.max_age > 0
        assert stream.config.duplicate_window == admin.DUPLICATE_WINDOW_S
        assert stream.config.subjects[0].split(".")[0] in ("event", "dead")


async def test_what_was_declared_otherwise_is_brought_up_to_date_and_keeps_its_messages(broker, jetstream):
    await admin.declare(broker.url)
    stream, consumer = admin.consumers()[0]
    await jetstream.update_stream(name=stream, subjects=[f"event.{stream[7:].lower()}.>"], max_bytes=1024**2)
    old = ConsumerConfig(
        name=consumer.name, durable_name=consumer.name, filter_subject="event.identity.old.>", ack_wait=1.0
    )
    await jetstream.add_consumer(stream, old)
    await jetstream.publish(consumer.filter_subjects[0].replace("*", "x"), b"kept")

    await admin.declare(broker.url)

    info = await jetstream.stream_info(stream)
    renewed = await jetstream.consumer_info(stream, consumer.name)
    assert (info.config.max_bytes, info.state.messages) == (admin.EVENTS_MAX_BYTES, 1)
    assert renewed.config.ack_wait == admin.ACK_WAIT_S
    assert renewed.config.filter_subjects == consumer.filter_subjects
    assert renewed.num_pending == 1
