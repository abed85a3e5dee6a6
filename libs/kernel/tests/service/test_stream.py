"""Streamed answers between a producer and a consumer on a real broker."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from polis.bus import Bus, BusTimeout
from polis.bus.permissions import ADMIN, inbox_prefix
from polis.proto.catalog import DownloadArtifact
from polis.proto.contract import operation_of
from polis.service.call import encode
from polis.service.stream import WINDOW, receive, send
from polis.testing.servers import nats_server

OPERATION = operation_of(DownloadArtifact)
PARTS = 5 * WINDOW


class Producer:
    """Answers one request with PARTS parts. `ended`: what became of its sending; `closed`: whether its source was."""

    def __init__(self, bus):
        self._bus = bus
        self.closed = False
        self.ended = asyncio.get_running_loop().create_future()

    def answer(self, message):
        self._task = asyncio.create_task(send(self._bus, message.reply, self._parts()))
        self._task.add_done_callback(lambda task: self.ended.set_result(task.exception()))

    async def _parts(self):
        try:
            for number in range(PARTS):
                yield b"%d" % number
        finally:
            self.closed = True


@pytest.fixture(scope="module")
async def bus():
    async with nats_server() as server:
        known = {"user": ADMIN, "password": server.passwords[ADMIN]} if server.passwords else {}
        bus = await Bus.connect(server.url, name="test", inbox_prefix=inbox_prefix(ADMIN), **known)
        yield bus
        await bus.close()


@pytest.fixture
async def producer(bus):
    producer = Producer(bus)
    subscription = await bus.subscribe(OPERATION.subject, producer.answer)
    yield producer
    subscription.unsubscribe()


def stream(bus):
    return receive(bus, OPERATION, encode(OPERATION, DownloadArtifact(uuid4())), {}, wait_s=5.0)


async def test_every_part_comes_once_and_in_order(bus, producer):
    assert [part async for part in stream(bus)] == [b"%d" % number for number in range(PARTS)]
    assert await asyncio.wait_for(producer.ended, 30) is None


@pytest.mark.parametrize("taken", [1, WINDOW, PARTS - WINDOW])
async def test_a_producer_ends_as_soon_as_its_consumer_leaves(bus, producer, taken):
    parts = stream(bus)
    for _ in range(taken):
        await anext(parts)

    await parts.aclose()

    assert isinstance(await asyncio.wait_for(producer.ended, 30), BusTimeout | None)
    assert producer.closed
