"""Calls that one turn of the loop brings travel in one message, and nobody can tell but the broker."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polis.bus import BusTimeout, Disconnected, NoResponders, joined
from polis.bus.writer import Writer
from polis.testing import eventually

SUBJECT = "rpc.test.ask"

parts = st.lists(st.tuples(st.integers(0, 2**63 - 1), st.binary(max_size=40), st.binary(max_size=40)))


def messages(parts):
    """What a joint writes, as (address, head, payload) each."""
    joint = joined.Joint(lambda number: f"to.{number}", lambda numbers: f"to.all.{len(numbers)}")
    for part in parts:
        joint.add(*part)
    chunks: list[bytes] = []
    joint.write(chunks)
    data, found = b"".join(chunks), []
    while data:
        line, _, data = data.partition(b"\r\n")
        kind, address, *sizes = line.split()
        head = int(sizes[0]) if kind == b"HPUB" else 0
        size = int(sizes[-1])
        found.append((address.decode(), data[:head], data[head:size]))
        assert data[size : size + 2] == b"\r\n"
        data = data[size + 2 :]
    return found


@given(parts)
def test_all_parts_arrive_in_their_order_in_as_few_messages_as_may_be(parts):
    written, got = messages(parts), []
    for address, head, payload in written:
        if head == joined.HEAD:
            got += joined.split(payload)
        else:
            got.append((int(address.removeprefix("to.")), head, payload))

    assert got == parts
    assert len(written) == -(-len(parts) // joined.MOST)


@given(st.binary(max_size=200))
def test_what_does_not_end_where_it_says_is_refused_as_a_whole(junk):
    try:
        found = list(joined.split(junk))
    except ValueError:
        return
    assert sum(16 + len(head) + len(payload) for _, head, payload in found) == len(junk)


async def test_what_is_joined_leaves_before_a_ping_that_was_sent_behind_it():
    """Its answer says that the server has taken all that was sent before."""
    sent = bytearray()
    transport = SimpleNamespace(write=sent.extend, set_write_buffer_limits=lambda high: None)
    writer, joint = Writer(), joined.Joint(str, lambda numbers: "all")
    writer.attach(transport)

    writer.join(joint, 1, b"", b"one")
    writer.join(joint, 2, b"", b"two")
    writer.control(b"PING\r\n")
    writer.join(joint, 3, b"", b"three")

    await eventually(lambda: sent)
    assert bytes(sent).split(b"PING\r\n")[1] == b"PUB 3 5\r\nthree\r\n"


async def asked(bus, *payloads, timeout_s=30.0):
    return await asyncio.gather(
        *[bus.request(SUBJECT, p, headers={"Number": p.decode()}, timeout_s=timeout_s) for p in payloads],
        return_exceptions=True,
    )


async def test_calls_of_one_turn_come_joined_and_each_gets_its_own_answer(connect):
    bus, service, seen = await connect(), await connect(), []
    await (await connect()).subscribe(SUBJECT, seen.append)

    def answer(message):
        service.answer(
            message, message.payload + message.headers["Number"].encode(), headers={"Kind": "answer"}
        )

    await service.subscribe(SUBJECT, answer, queue="test")

    replies = await asked(bus, *[b"%d" % i for i in range(40)])

    assert [reply.payload for reply in replies] == [b"%d" % i * 2 for i in range(40)]
    assert {reply.headers["Kind"] for reply in replies} == {"answer"}
    assert {message.joint is not None for message in seen} == {True}


async def test_a_slow_call_holds_up_none_that_came_with_it(connect):
    bus, service, held = await connect(), await connect(), []

    def answer(message):
        if message.payload == b"slow":
            held.append(message)
        else:
            service.answer(message, b"done")

    await service.subscribe(SUBJECT, answer)
    slow = asyncio.ensure_future(bus.request(SUBJECT, b"slow", timeout_s=30))
    quick = await asked(bus, b"1", b"2")

    assert [reply.payload for reply in quick] == [b"done", b"done"]
    assert not slow.done()
    service.answer(held[0], b"late")
    assert (await slow).payload == b"late"


async def test_what_is_large_and_what_is_alone_travel_as_any_client_would_send_them(connect):
    bus, service, seen = await connect(), await connect(), []

    def answer(message):
        seen.append(message.joint is not None)
        service.answer(message, message.payload)

    await service.subscribe(SUBJECT, answer)
    large = b"x" * (joined.MOST_BYTES + 1)

    assert (await bus.request(SUBJECT, b"alone", timeout_s=30)).payload == b"alone"
    replies = await asyncio.gather(*[bus.request(SUBJECT, large, timeout_s=30) for _ in range(2)])

    assert [reply.payload for reply in replies] == [large, large]
    assert seen == [False, False, False]


async def test_where_nobody_listens_all_of_them_are_told_at_once(connect):
    bus = await connect()

    assert [type(each) for each in await asked(bus, b"1", b"2", b"3", timeout_s=30)] == [NoResponders] * 3


async def test_those_that_nobody_answers_end_in_time_and_nothing_of_them_is_kept(connect):
    bus, service = await connect(), await connect()
    await service.subscribe(SUBJECT, lambda message: None)

    assert [type(each) for each in await asked(bus, b"1", b"2", timeout_s=0.05)] == [BusTimeout] * 2
    assert len(bus._inbox) == 0


async def test_a_cut_ends_those_that_were_on_their_way_and_those_that_had_not_left(connect, start):
    broker = start()
    bus, service = await connect(broker.url), await connect(broker.url)
    seen = []
    await service.subscribe(SUBJECT, seen.append)
    asking = [asyncio.ensure_future(asked(bus, b"1", b"2"))]
    await eventually(lambda: len(seen) == 2)
    asking.append(asyncio.ensure_future(asked(bus, b"3", b"4")))

    broker.kill()

    for each in await asyncio.gather(*asking):
        assert [type(error) for error in each] == [Disconnected] * 2
    for message in seen:
        service.answer(message, b"nobody waits for it")


@pytest.mark.parametrize("reply", ["", "nodots", "_INBOX.test.x.j1"])
async def test_a_joined_message_that_is_none_harms_nobody(connect, reply):
    bus, service, seen = await connect(), await connect(), []

    def answer(message):
        seen.append(message.payload)
        service.answer(message, b"answer")

    await service.subscribe(SUBJECT, answer)
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    for junk in (b"\0", b"\0" * 17, b"\xff" * 40):
        bus.publish(SUBJECT, junk, headers={"Polis-Joined": "1"}, reply=reply)

    assert (await bus.request(SUBJECT, b"good", timeout_s=30)).payload == b"answer"
    assert seen == [b"good"]
    assert service.connected
