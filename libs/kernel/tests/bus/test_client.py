"""The client against the real server, with nats-py as the other side."""

from __future__ import annotations

import asyncio

import pytest

from polis.bus import Bus, BusTimeout, NoResponders


async def connected(url: str, **options) -> Bus:
    return await Bus.connect(url, name="test", **options)


async def test_a_request_is_answered_with_headers(nats_url):
    bus, other = await connected(nats_url), await connected(nats_url)
    await other.subscribe(
        "greet", lambda m: other.publish(m.reply, b"hello " + m.payload, headers={"Who": m.headers["From"]})
    )

    reply = await bus.request("greet", b"world", headers={"From": "me"}, timeout_s=1)

    assert (reply.payload, reply.headers["Who"], reply.status) == (b"hello world", "me", None)
    await bus.close()
    await other.close()


async def test_nobody_listening_is_told_at_once(nats_url):
    bus = await connected(nats_url)

    with pytest.raises(NoResponders):
        await bus.request("nobody.listens", b"", timeout_s=5)

    await bus.close()


async def test_silence_ends_at_the_timeout(nats_url):
    bus = await connected(nats_url)
    await bus.subscribe("silent", lambda _: None)

    with pytest.raises(BusTimeout):
        await bus.request("silent", b"", timeout_s=0.05)

    await bus.close()


async def test_the_server_can_be_killed_and_started_again(broker):
    bus = await connected(broker.url)
    back = asyncio.Event()
    bus.on_reconnect.append(back.set)
    await bus.subscribe("echo", lambda m: bus.publish(m.reply, m.payload))

    broker.kill()
    broker.start()
    await asyncio.wait_for(back.wait(), 5)

    assert (await bus.request("echo", b"again", timeout_s=1)).payload == b"again"
    await bus.close()
