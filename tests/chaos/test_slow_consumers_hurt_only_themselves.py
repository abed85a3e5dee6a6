"""G10. A hundred clients that stop reading are closed within ten seconds, and those who read beside them notice nothing."""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import asynccontextmanager
from itertools import chain
from uuid import uuid4

import aiohttp
import psutil
import pytest

from polis.testing import eventually
from polis.testing.room import Room
from tests.chaos.listeners import SMALL_BUFFER, Listener, percentile, said_now
from tests.chaos.mesh import Mesh

STALLED = 100
CLOSED_S = 10.0
GROWTH = 50_000_000
SIZE = 2_000
SOON = {"socket_unread_bytes": 64 * 1024}
"""Little is held, so that little time is needed."""


@pytest.fixture
async def edge(own_stage, postgres, tmp_path, full):
    """A gateway among services that are played."""
    async with Mesh(own_stage, postgres, tmp_path) as mesh:
        actors = await own_stage.actors()
        person = actors.person()
        room = Room(mesh.bus, person.org_id, uuid4())
        await room.play()
        gateway = await mesh.start("gateway", sockets_per_principal=1_000, **({} if full else SOON))
        yield gateway, person.token, room


async def test_who_does_not_read_is_closed_and_who_reads_is_not_late_for_it(edge, full):
    gateway, token, room = edge
    readers, rate, messages, noise_s = (100, 100, 1_000, 0.02) if full else (20, 100, 50, 5.0)
    reading = [await Listener.at(gateway.port, token, room.topic) for _ in range(readers)]
    async with talk(room, rate):
        await eventually(lambda: len(reading[-1].late_s) >= messages, within_s=30)
        alone = late(reading)
        before = memory(gateway)
        silent = [await silent_one(gateway, token, room) for _ in range(STALLED)]
        late(reading)
        began = time.monotonic()
        await eventually(lambda: closed(gateway, STALLED), within_s=CLOSED_S)
        seconds, grown, beside = time.monotonic() - began, memory(gateway) - before, late(reading)

    told = f"p99 {percentile(alone, 99) * 1e3:.1f} ms alone, {percentile(beside, 99) * 1e3:.1f} ms beside"
    print(f"{told}; all closed in {seconds:.1f} s, {grown / 1e6:.0f} MB more")
    assert percentile(beside, 99) <= 1.5 * percentile(alone, 99) + noise_s, told
    assert grown <= GROWTH
    assert not any(listener.ended for listener in reading)
    for listener in silent:
        listener.read_on()
    await eventually(lambda: all(listener.ended for listener in silent))
    for listener in reading:
        listener.transport.abort()
    await eventually(lambda: all(listener.ended for listener in reading))


async def silent_one(gateway, token, room):
    """It follows, and reads no more: if all of them read until the last one follows, this process would be late by itself."""
    listener = await Listener.at(gateway.port, token, room.topic, buffer=SMALL_BUFFER)
    listener.read_nothing()
    return listener


@asynccontextmanager
async def talk(room, rate):
    """Messages at an even pace for as long as the block lasts."""

    async def say():
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            room.say(said_now(size=SIZE))
            due += 1 / rate
            await asyncio.sleep(max(0.0, due - loop.time()))

    saying = asyncio.create_task(say())
    try:
        yield
    finally:
        saying.cancel()
        await asyncio.gather(saying, return_exceptions=True)


def late(listeners):
    """How late what they have heard since the last time was."""
    found = list(chain.from_iterable(listener.late_s for listener in listeners))
    for listener in listeners:
        listener.late_s.clear()
    return found


async def closed(gateway, count):
    """Whether the gateway has closed so many as too slow."""
    async with aiohttp.request("GET", f"http://127.0.0.1:{gateway.port}/metrics") as answer:
        found = re.search(r'polis_live_closed_total{code="4408"} ([0-9.]+)', await answer.text())
    return found is not None and float(found[1]) >= count


def memory(gateway):
    return psutil.Process(gateway.child.pid).memory_info().rss
