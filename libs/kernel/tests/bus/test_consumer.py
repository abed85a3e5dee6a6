"""The fetch loop of a durable consumer, and everything that may happen to it."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import aclosing
from time import monotonic

import nats
import pytest
from nats.js.api import AckPolicy, ConsumerConfig

from polis.bus import consumer as module
from polis.bus.jetstream import PullConsumer
from polis.bus.protocol import unsubscribe_line
from polis.testing import eventually


@pytest.fixture
async def oracle(broker, connect):
    """nats-py, which declares and publishes."""
    await connect(broker.url)
    client = await nats.connect(broker.url, max_reconnect_attempts=-1, reconnect_time_wait=0.05)
    yield client.jetstream()
    await client.close()


async def declare(oracle, **config) -> None:
    await oracle.add_stream(name="E", subjects=["e.>"])
    await declare_consumer(oracle, **config)


async def declare_consumer(oracle, **config) -> None:
    settings = {"ack_wait": 30.0, "max_ack_pending": 1000} | config
    await oracle.add_consumer(
        "E", ConsumerConfig(name="d", durable_name="d", ack_policy=AckPolicy.EXPLICIT, **settings)
    )


async def publish(oracle, first: int, count: int) -> None:
    for n in range(first, first + count):
        await oracle.publish(f"e.{n}", b"%d" % n, headers={"N": str(n)})


async def take(deliveries, count: int) -> list[int]:
    """The numbers of the next ones, acknowledged."""
    taken = []
    async with asyncio.timeout(30):
        while len(taken) < count:
            delivery = await anext(deliveries)
            delivery.ack()
            taken.append(int(delivery.payload))
    return taken


async def test_deliveries_come_in_order_and_say_where_they_stand(broker, connect, oracle):
    await declare(oracle)
    await publish(oracle, 0, 3)
    bus = await connect(broker.url)

    async with aclosing(PullConsumer(bus, "E", "d").messages()) as deliveries:
        for n in range(3):
            delivery = await anext(deliveries)
            assert (delivery.subject, delivery.payload, delivery.headers["N"]) == (
                f"e.{n}",
                b"%d" % n,
                str(n),
            )
            assert (delivery.stream_seq, delivery.consumer_seq, delivery.num_delivered) == (n + 1, n + 1, 1)
            assert delivery.pending == 2 - n
            delivery.ack()
        await publish(oracle, 3, 1)
        assert await take(deliveries, 1) == [3]

    await bus.flush(1)
    assert (await oracle.consumer_info("E", "d")).num_ack_pending == 0


async def test_what_is_said_of_a_delivery_decides_what_becomes_of_it(broker, connect, oracle):
    await declare(oracle, ack_wait=1.0)
    await publish(oracle, 0, 3)
    seen = []

    async with aclosing(PullConsumer(await connect(broker.url), "E", "d").messages()) as deliveries:
        while len(seen) < 5:
            delivery = await asyncio.wait_for(anext(deliveries), 30)
            seen.append((int(delivery.payload), delivery.num_delivered))
            match seen[-1]:
                case (0, 1):
                    delivery.nak(delay_s=0.2)
                case (1, _):
                    delivery.term("poison")
                case (2, 1):
                    pass  # forgotten: its time runs out
                case _:
                    delivery.ack()

    assert seen == [(0, 1), (1, 1), (2, 1), (0, 2), (2, 2)]


async def test_a_sign_of_work_keeps_a_delivery_from_coming_again(broker, connect, oracle):
    await declare(oracle, ack_wait=0.4)
    await publish(oracle, 0, 1)
    bus = await connect(broker.url)

    async with aclosing(PullConsumer(bus, "E", "d").messages()) as deliveries:
        delivery = await anext(deliveries)
        end = monotonic() + 1
        await eventually(lambda: delivery.in_progress() or monotonic() > end)
        delivery.ack()
        await publish(oracle, 1, 1)
        assert await take(deliveries, 1) == [1]


async def test_more_than_one_batch_is_taken_without_a_pause_and_no_more_than_one_waits(
    broker, connect, oracle
):
    await declare(oracle, max_ack_pending=10_000)
    futures = [await oracle.publish_async("e.x", b"%d" % n) for n in range(3_000)]
    await asyncio.gather(*futures)
    consumer = PullConsumer(await connect(broker.url), "E", "d")

    async with aclosing(consumer.messages()) as deliveries:
        assert await take(deliveries, 1) == [0]
        await eventually(lambda: len(consumer._queue) == module.BATCH - 1)
        assert await take(deliveries, 2_999) == list(range(1, 3_000))


async def test_it_goes_on_after_kill_9_of_the_server(broker, connect, oracle):
    await declare(oracle)
    await publish(oracle, 0, 5)
    bus = await connect(broker.url)

    async with aclosing(PullConsumer(bus, "E", "d").messages()) as deliveries:
        assert await take(deliveries, 5) == [0, 1, 2, 3, 4]
        broker.kill()
        await eventually(lambda: not bus.connected)
        waiting = asyncio.ensure_future(anext(deliveries))
        broker.start()
        await eventually(lambda: bus.connected)
        await publish(oracle, 5, 1)

        numbers = [int((await asyncio.wait_for(waiting, 30)).payload)]
        while 5 not in numbers:
            numbers += await take(deliveries, 1)
    assert set(numbers) <= set(range(6)), "acknowledgements of the last seconds may be lost: those come again"


async def test_it_waits_for_a_consumer_that_is_not_declared_yet_or_was_deleted(broker, connect, oracle):
    consumer = PullConsumer(await connect(broker.url), "E", "d")

    async with aclosing(consumer.messages()) as deliveries:
        waiting = asyncio.ensure_future(anext(deliveries))
        await eventually(lambda: consumer._troubles > 1)
        await declare(oracle)
        await publish(oracle, 0, 1)
        (await asyncio.wait_for(waiting, 30)).ack()

        waiting = asyncio.ensure_future(anext(deliveries))
        await eventually(lambda: consumer._owed)
        await oracle.delete_consumer("E", "d")
        await declare_consumer(oracle)
        assert (await asyncio.wait_for(waiting, 30)).payload == b"0"


async def test_it_goes_on_after_the_store_was_wiped_and_declared(broker, connect, oracle):
    await declare(oracle)
    await publish(oracle, 0, 3)
    bus = await connect(broker.url)

    async with aclosing(PullConsumer(bus, "E", "d").messages()) as deliveries:
        assert await take(deliveries, 3) == [0, 1, 2]
        waiting = asyncio.ensure_future(anext(deliveries))
        broker.kill()
        shutil.rmtree(broker.store)
        broker.start()
        await eventually(lambda: bus.connected)
        again = await nats.connect(broker.url)  # nats-py's own requests do not outlive the cut
        await declare(again.jetstream())
        await publish(again.jetstream(), 7, 1)
        await again.close()
        assert (await asyncio.wait_for(waiting, 30)).payload == b"7"


async def test_it_goes_on_after_the_server_was_frozen(broker, connect, oracle, monkeypatch):
    monkeypatch.setattr(module, "SILENCE_S", 0.2)
    await declare(oracle)
    consumer = PullConsumer(await connect(broker.url), "E", "d")

    async with aclosing(consumer.messages()) as deliveries:
        waiting = asyncio.ensure_future(anext(deliveries))
        await eventually(lambda: consumer._owed)
        broker.freeze()
        pulls = consumer._pulls
        await eventually(lambda: consumer._pulls > pulls)
        broker.thaw()
        await publish(oracle, 0, 1)
        assert (await asyncio.wait_for(waiting, 30)).payload == b"0"


async def test_a_subscription_that_the_server_has_forgotten_is_made_anew(
    broker, connect, oracle, monkeypatch
):
    """As after a fail-over that went wrong: pulls are accepted and nothing ever comes."""
    monkeypatch.setattr(module, "SILENCE_S", 0.1)
    monkeypatch.setattr(module, "WATCHDOG_S", 0.3)
    await declare(oracle)
    bus = await connect(broker.url)

    async with aclosing(PullConsumer(bus, "E", "d").messages()) as deliveries:
        waiting = asyncio.ensure_future(anext(deliveries))
        await eventually(lambda: len(bus._subscriptions) == 2)
        bus._writer.control(unsubscribe_line(max(s.sid for s in bus._subscriptions.values())))
        await bus.flush(1)
        await publish(oracle, 0, 1)
        assert (await asyncio.wait_for(waiting, 30)).payload == b"0"


async def test_what_ends_leaves_nothing_behind(broker, connect, oracle):
    await declare(oracle)
    bus = await connect(broker.url)
    await publish(oracle, 0, 1)

    async with aclosing(PullConsumer(bus, "E", "d").messages()) as deliveries:
        assert await take(deliveries, 1) == [0]

    assert len(bus._subscriptions) == 1
    assert (bus.on_reconnect, bus.on_violation) == ([], [])
