"""The client against the real server, with nats-py as the other side."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from time import monotonic

import msgspec
import nats
import pytest

from polis.bus import Bus, BusTimeout, Disconnected, NoResponders, PayloadTooLarge

MIB = 1024 * 1024


@pytest.fixture
async def oracle(shared_broker):
    client = await nats.connect(shared_broker.url)
    yield client
    await client.close()


def collector(count: int):
    """A callback, and a future of the first `count` messages that it gets."""
    messages, done = [], asyncio.get_running_loop().create_future()

    def collect(message):
        messages.append(message)
        if len(messages) == count:
            done.set_result(messages)

    return collect, asyncio.wait_for(done, 30)


async def test_nats_py_answers_our_request(connect, oracle):
    async def answer(message):
        await oracle.publish(
            message.reply, b"hello " + message.data, headers={"You": message.headers["Name"]}
        )

    bus = await connect()
    await oracle.subscribe("greet", cb=answer)
    await oracle.flush()
    await oracle.flush()  # nats-py's first ping overtakes its own SUB

    reply = await bus.request("greet", b"world", headers={"Name": "Zoë: a b"}, timeout_s=1)

    assert (reply.payload, reply.headers, reply.status) == (b"hello world", {"You": "Zoë: a b"}, None)


async def test_we_answer_the_request_of_nats_py(connect, oracle):
    bus = await connect()
    await bus.subscribe("echo", lambda m: bus.publish(m.reply, m.payload, headers=m.headers))

    reply = await oracle.request("echo", b"ping", headers={"A-b": "1"}, timeout=1)

    assert (reply.data, reply.headers) == (b"ping", {"A-b": "1"})


async def test_a_message_without_headers_and_reply_arrives_as_it_was_sent(connect, oracle):
    collect, collected = collector(1)
    await (await connect()).subscribe("plain.*", collect)

    await oracle.publish("plain.x", b"")

    (message,) = await collected
    assert (message.subject, message.reply, message.payload, dict(message.headers)) == (
        "plain.x",
        "",
        b"",
        {},
    )


async def test_a_queue_group_shares_its_messages(connect, oracle):
    seen: dict[str, list[bytes]] = {"a": [], "b": []}
    all_seen = asyncio.Event()

    def take(name):
        def taken(message):
            seen[name].append(message.payload)
            if len(seen["a"]) + len(seen["b"]) == 200:
                all_seen.set()

        return taken

    await (await connect()).subscribe("work", take("a"), queue="q")
    await (await connect()).subscribe("work", take("b"), queue="q")
    for n in range(200):
        await oracle.publish("work", b"%d" % n)

    await asyncio.wait_for(all_seen.wait(), 30)

    assert sorted(map(int, seen["a"] + seen["b"])) == list(range(200))
    assert seen["a"]
    assert seen["b"]


@pytest.mark.parametrize("size", [65_535, MIB - 100, MIB])
async def test_large_payloads_pass_whole_in_both_directions(connect, size):
    bus, other = await connect(), await connect()
    payload = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    await other.subscribe(f"large.{size}", lambda m: other.publish(m.reply, m.payload))

    replies = await asyncio.gather(*[bus.request(f"large.{size}", payload, timeout_s=10) for _ in range(8)])

    assert all(reply.payload == payload for reply in replies)


async def test_what_is_too_large_is_not_sent_and_costs_no_connection(connect):
    bus = await connect()

    with pytest.raises(PayloadTooLarge):
        bus.publish("large", b"x" * (MIB + 1))
    with pytest.raises(PayloadTooLarge):
        await bus.request("large", b"x" * MIB, headers={"A": "1"}, timeout_s=1)

    assert await bus.round_trip(1) < 1
    assert len(bus._inbox) == 0


async def test_nobody_listening_is_told_at_once(connect):
    bus = await connect()
    started = monotonic()

    with pytest.raises(NoResponders, match=r"nobody\.listens"):
        await bus.request("nobody.listens", b"", timeout_s=30)

    assert monotonic() - started < 5


async def test_an_own_inbox_hears_of_missing_responders_and_gets_many_replies(connect):
    bus = await connect()
    collect, collected = collector(3)
    inbox = bus.new_inbox()
    await bus.subscribe(inbox, collect)
    bus.publish("nobody.listens", b"", reply=inbox)
    bus.publish(inbox, b"one")
    bus.publish(inbox, b"two")

    messages = await collected

    assert sorted((m.status, m.payload) for m in messages if m.status is None) == [
        (None, b"one"),
        (None, b"two"),
    ]
    assert [m.status for m in messages].count(503) == 1


async def test_silence_ends_at_the_timeout_and_a_late_reply_is_dropped(connect):
    bus = await connect()
    asked = asyncio.get_running_loop().create_future()
    await bus.subscribe("slow", asked.set_result)
    started = monotonic()

    with pytest.raises(BusTimeout, match="slow"):
        await bus.request("slow", b"", timeout_s=0.1)

    assert 0.1 <= monotonic() - started < 5
    bus.publish((await asked).reply, b"late")
    await bus.flush(1)
    assert len(bus._inbox) == 0


async def test_a_cancelled_request_leaves_nothing_behind(connect):
    bus = await connect()
    await bus.subscribe("silent", lambda _: None)
    task = asyncio.ensure_future(bus.request("silent", b"", timeout_s=60))
    await bus.flush(1)

    task.cancel()
    with suppress(asyncio.CancelledError):
        await task

    assert len(bus._inbox) == 0


async def test_ten_thousand_requests_at_once_each_get_their_own_answer(connect):
    bus, other = await connect(), await connect()
    await other.subscribe("double", lambda m: other.publish(m.reply, m.payload * 2))

    replies = await asyncio.gather(
        *[bus.request("double", b"%d" % n, headers={"N": str(n)}, timeout_s=20) for n in range(10_000)]
    )

    assert [reply.payload for reply in replies] == [b"%d" % n * 2 for n in range(10_000)]


async def test_what_is_not_a_reply_to_us_is_dropped(connect):
    bus, other = await connect(), await connect()
    back = bus._inbox.way("rpc.test.ask").address.split()[1]
    for junk in ("x", "-1", "999999", "1_0", "j", "j1", "j-1", "jx"):
        other.publish(back + junk, b"forged")
        other.publish(back.replace(".test.", ".nobody.") + junk, b"forged")
        other.publish(back + junk, b"\0" * 17, headers={"Polis-Joined": "1"})
    await other.flush(1)

    await bus.flush(1)
    assert bus.connected


async def test_a_reply_that_cannot_be_read_is_the_fault_of_who_asked(connect):
    bus = await connect()
    await bus.subscribe("odd", lambda m: bus.publish(m.reply, b"{"))

    with pytest.raises(msgspec.DecodeError):
        await bus.ask("odd", b"", timeout_s=1, read=lambda m: msgspec.json.decode(m.payload))

    assert bus.connected


async def test_bytes_that_are_no_text_harm_nothing(connect):
    bus, other = await connect(), await connect()
    collect, collected = collector(1)
    await bus.subscribe("bytes.*", collect)

    other._writer.control(b"HPUB bytes.\xff\xfe reply\xff 18 19\r\nNATS/1.0\r\nA: \xff\r\n\r\n!\r\n")

    (message,) = await collected
    assert (message.subject, message.headers["A"], message.payload) == ("bytes.\ufffd\ufffd", "\ufffd", b"!")


async def test_hooks_are_told_of_a_cut_only_when_all_is_back_and_a_failing_one_harms_nothing(connect, start):
    broker, faults = start(), []
    bus = await connect(broker.url)
    loop, back = asyncio.get_running_loop(), asyncio.Event()
    loop.set_exception_handler(lambda _, context: faults.append(type(context["exception"])))
    bus.on_reconnect += [lambda: {}["missing"], back.set]

    broker.kill()
    broker.start()
    await asyncio.wait_for(back.wait(), 30)
    loop.set_exception_handler(None)

    assert (bus.connected, faults) == (True, [KeyError])


async def test_a_failing_listener_harms_nobody_else(connect):
    bus = await connect()
    collect, collected = collector(2)
    faults = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: faults.append(context["message"]))

    def fail(message):
        collect(message)
        raise LookupError

    await bus.subscribe("failing", fail)
    bus.publish("failing", b"1")
    bus.publish("failing", b"2")

    assert [m.payload for m in await collected] == [b"1", b"2"]
    assert faults == ["listener of failing failed"] * 2
    loop.set_exception_handler(None)


async def test_an_unsubscribed_listener_hears_nothing_more(connect):
    bus, heard = await connect(), []
    subscription = await bus.subscribe("gone", heard.append)
    bus.publish("gone", b"1")
    await bus.flush(1)

    subscription.unsubscribe()
    bus.publish("gone", b"2")
    await bus.flush(1)

    assert [m.payload for m in heard] == [b"1"]
    with pytest.raises(NoResponders):
        await bus.request("gone", b"", timeout_s=1)


async def test_drain_delivers_what_was_sent_before_and_nothing_after(connect):
    bus, other, heard = await connect(), await connect(), []
    subscription = await bus.subscribe("drained", heard.append)
    for n in range(5_000):
        other.publish("drained", b"%d" % n)
    await other.flush(5)

    await subscription.drain(5)
    other.publish("drained", b"after")
    await other.flush(1)
    await bus.flush(1)

    assert [int(m.payload) for m in heard] == list(range(5_000))


async def test_what_is_sent_in_one_turn_leaves_in_few_writes(connect):
    bus, writes = await connect(), []
    transport = bus._link.connection.transport

    class Counting:
        def write(self, data):
            writes.append(data)
            transport.write(data)

    bus._writer._transport = Counting()
    await asyncio.gather(
        *[bus.request("nobody", b"", timeout_s=1) for _ in range(3 * 32 + 4)], return_exceptions=True
    )

    assert len(writes) == 4


async def test_close_sends_what_waits_and_fails_what_is_in_flight(connect):
    bus, other = await connect(), await connect()
    collect, collected = collector(1)
    await other.subscribe("last.words", collect)
    await other.subscribe("silent.too", lambda _: None)
    waiting = asyncio.ensure_future(bus.request("silent.too", b"", timeout_s=30))
    await asyncio.sleep(0)
    bus.publish("last.words", b"bye")

    await bus.close()

    assert (await collected)[0].payload == b"bye"
    with pytest.raises(Disconnected):
        await waiting
    with pytest.raises(Disconnected):
        bus.publish("last.words", b"too late")


async def test_no_server_is_told_within_the_time_given():
    started = monotonic()

    with pytest.raises(Disconnected, match=r"127\.0\.0\.1:1: \[Errno") as raised:
        await Bus.connect("nats://me:secret@127.0.0.1:1", name="test", connect_timeout_s=0.3)

    assert "secret" not in str(raised.value)
    assert monotonic() - started < 5


@pytest.mark.parametrize("url", ["", "nats://", "nats://host:port"])
async def test_what_is_no_url_is_refused(url):
    with pytest.raises(ValueError, match=r"URL|ort"):
        await Bus.connect(url, name="test")
