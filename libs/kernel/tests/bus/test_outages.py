"""The client while its server is killed, frozen, restarted or has moved."""

from __future__ import annotations

import asyncio
import gc
from time import monotonic

import pytest

from polis.bus import BufferFull, BusTimeout, Disconnected, connection
from polis.testing import eventually


def reconnected(bus) -> asyncio.Event:
    back = asyncio.Event()
    bus.on_reconnect.append(back.set)
    return back


async def wait(event: asyncio.Event) -> None:
    await asyncio.wait_for(event.wait(), 30)


async def lost(bus) -> None:
    await eventually(lambda: not bus.connected)


async def flood(bus, messages: int) -> None:
    for _ in range(messages):
        bus.publish("flood", b"x" * 1024 * 1024)
        await asyncio.sleep(0)


async def test_a_handshake_that_nobody_waits_for_any_more_leaves_nothing_to_report():
    loop, faults = asyncio.get_running_loop(), []
    loop.set_exception_handler(lambda _, context: faults.append(context["message"]))
    given_up = connection.Connection(None, None, subscriptions={}, on_error=str, on_info=str)

    given_up.connection_lost(None)
    del given_up
    gc.collect()

    loop.set_exception_handler(None)
    assert faults == []


async def test_after_a_kill_and_a_restart_all_goes_on(connect, broker):
    bus, other = await connect(broker.url), await connect(broker.url)
    backs = [reconnected(bus), reconnected(other)]
    await other.subscribe("echo", lambda m: other.publish(m.reply, m.payload), queue="q")

    for round_ in (b"1", b"2"):
        broker.kill()
        await lost(bus)
        broker.start()
        for back in backs:
            await wait(back)
            back.clear()
        await asyncio.gather(bus.flush(1), other.flush(1))
        assert (await bus.request("echo", round_, timeout_s=2)).payload == round_


async def test_what_is_in_flight_at_a_cut_fails_at_once(connect, broker):
    bus = await connect(broker.url)
    await bus.subscribe("silent", lambda _: None)
    requests = [asyncio.ensure_future(bus.request("silent", b"", timeout_s=60)) for _ in range(100)]
    await bus.flush(1)
    started = monotonic()

    broker.kill()
    results = await asyncio.gather(*requests, return_exceptions=True)

    assert {type(r) for r in results} == {Disconnected}
    assert monotonic() - started < 20
    with pytest.raises(Disconnected):
        await bus.request("silent", b"", timeout_s=60)
    with pytest.raises(Disconnected):
        await bus.round_trip(1)


async def test_what_is_published_without_a_connection_waits_for_the_next_within_a_bound(connect, broker):
    bus, heard = await connect(broker.url), asyncio.Queue()
    broker.kill()
    await lost(bus)
    await bus.subscribe("later", heard.put_nowait)
    bus.publish("later", b"kept")
    with pytest.raises(BufferFull):
        await flood(bus, 17)

    broker.start()

    assert (await asyncio.wait_for(heard.get(), 30)).payload == b"kept"
    bus.publish("later", b"again")
    assert (await asyncio.wait_for(heard.get(), 30)).payload == b"again"


async def test_a_frozen_server_is_found_by_its_missing_pongs(connect, broker, monkeypatch):
    monkeypatch.setattr(connection, "PING_S", 0.1)
    bus = await connect(broker.url)
    back = reconnected(bus)
    await bus.subscribe("echo", lambda m: bus.publish(m.reply, m.payload))

    broker.freeze()
    with pytest.raises(BusTimeout):
        await bus.round_trip(0.05)
    with pytest.raises(Disconnected):
        await bus.request("echo", b"", timeout_s=30)
    assert not bus.connected

    broker.thaw()
    await wait(back)
    assert (await bus.request("echo", b"thawed", timeout_s=2)).payload == b"thawed"


async def test_a_server_that_takes_nothing_fills_a_bounded_buffer(connect, broker):
    bus = await connect(broker.url)
    broker.freeze()

    with pytest.raises(BufferFull):
        await flood(bus, 100)

    broker.thaw()
    await bus.flush(10)
    bus.publish("flood", b"x" * 1024 * 1024)
    await bus.flush(10)


async def test_the_first_connection_may_come_before_the_server(connect, broker):
    broker.kill()
    connecting = asyncio.ensure_future(connect(broker.url, connect_timeout_s=10))
    await asyncio.sleep(0)
    broker.start()

    assert (await connecting).connected


async def test_any_server_of_the_url_will_do(connect, broker):
    bus = await connect(f"nats://127.0.0.1:1,{broker.url}")

    assert await bus.round_trip(1) < 1
