"""One writer of a stream: order, fencing, repetition, and what a lost store looks like."""

from __future__ import annotations

import asyncio
import shutil

import nats
import pytest

from polis.bus import Disconnected, NoResponders
from polis.bus.jetstream import Appended, Entry, Log, StreamError, StreamState, WrongLastSequence, store
from polis.bus.protocol import header_lines
from polis.testing import eventually


async def declare(url: str) -> None:
    client = await nats.connect(url)
    await client.jetstream().add_stream(name="LOG", subjects=["log.>"], duplicate_window=600)
    await client.close()


@pytest.fixture
async def bus(broker, connect):
    bus = await connect(broker.url)
    await declare(broker.url)
    return bus


def entries(first: int, count: int, ids: str = "id") -> list[Entry]:
    return [
        Entry(f"log.{n}", b"%d" % n, header_lines({"N": str(n)}), msg_id=f"{ids}{n}")
        for n in range(first, first + count)
    ]


async def append(log: Log, first: int, count: int, *, at: int | None = None, ids: str = "id") -> Appended:
    where = first if at is None else at
    return await log.append(entries(first, count, ids), expected_last_seq=where, timeout_s=30)


async def test_a_thousand_in_flight_are_stored_in_order(bus):
    log = Log(bus, "LOG")

    assert await append(log, 0, 1000) == Appended(1000)
    assert await log.info() == StreamState(messages=1000, first_seq=1, last_seq=1000)
    headers = await log.message(500)
    assert headers is not None
    assert (headers["N"], headers["Nats-Msg-Id"]) == ("499", "id499")
    assert await log.message(1001) is None


async def test_of_nothing_nothing_is_stored_and_nothing_is_agreed_on(bus):
    log = Log(bus, "LOG")

    assert await append(log, 0, 0) == Appended(0)
    assert isinstance((await append(log, 0, 1, at=7)).failure, WrongLastSequence)
    assert await append(log, 0, 1) == Appended(1)
    assert await append(log, 1, 0) == Appended(0)
    assert await append(log, 1, 1) == Appended(1)


async def test_behind_a_window_that_went_well_only_the_last_of_the_next_is_answered(bus, broker, connect):
    answers, log = [], Log(bus, "LOG")
    assert await append(log, 0, 10) == Appended(10)
    await (await connect(broker.url)).subscribe("_INBOX.>", answers.append)

    assert await append(log, 10, 500) == Appended(500)

    await eventually(lambda: answers)  # who only listens may get it after who asked
    assert [message.payload for message in answers] == [b'{"stream":"LOG","seq":510}']
    assert await log.info() == StreamState(messages=510, first_seq=1, last_seq=510)
    headers = await log.message(260)
    assert headers is not None
    assert headers["N"] == "259"


async def test_what_was_wrong_with_which_is_told_when_it_is_tried_again(bus):
    log = Log(bus, "LOG")
    await append(log, 0, 10)
    window = [*entries(10, 5), *entries(3, 1), *entries(16, 5)]

    unknown = await log.append(window, expected_last_seq=10, timeout_s=30)
    where = (await log.info()).last_seq
    known = await log.append(window[where - 10 :], expected_last_seq=where, timeout_s=30)
    after = await append(log, 15, 5, ids="other")

    assert (unknown.stored, type(unknown.failure)) == (0, WrongLastSequence)
    assert where == 15
    assert (known.stored, str(known.failure)) == (0, "the stream knows this id as message 4, not 16 (10071)")
    assert after == Appended(5)


async def test_a_writer_that_was_overtaken_between_two_windows_is_refused(bus, broker, connect):
    first, second = Log(bus, "LOG"), Log(await connect(broker.url), "LOG")
    await append(first, 0, 10)
    await append(second, 10, 10)

    refused = await append(first, 10, 5, ids="other")

    assert refused.stored == 0
    assert isinstance(refused.failure, WrongLastSequence)
    assert (await first.info()).last_seq == 20


async def test_a_second_writer_is_refused_and_so_is_all_that_it_sent_behind(bus, broker, connect):
    first, second = Log(bus, "LOG"), Log(await connect(broker.url), "LOG")
    await append(first, 0, 10)

    refused = await append(second, 5, 20, ids="other")

    assert refused.stored == 0
    assert isinstance(refused.failure, WrongLastSequence)
    assert refused.failure.actual == 10
    # The part that fits by chance is stored, behind the answer that refused the first of it: a relay must stop there.
    async with asyncio.timeout(30):
        while (await first.info()).last_seq < 25:  # noqa: ASYNC110 - what is awaited tells nobody
            await asyncio.sleep(0.01)


async def test_what_stands_before_one_that_was_refused_is_known_to_be_stored(bus):
    log = Log(bus, "LOG")
    await append(Log(bus, "LOG"), 3, 1, at=0)

    appended = await append(log, 1, 5, at=1)

    assert appended.stored == 2
    assert isinstance(appended.failure, WrongLastSequence)
    assert (await log.message(3) or {})["N"] == "2"


async def test_a_message_that_cannot_be_sent_ends_the_window_behind_what_was(bus):
    log = Log(bus, "LOG")
    broken = Entry("log.2\r\nforged", b"", header_lines({"N": "2"}), msg_id="id2")

    appended = await log.append([*entries(0, 2), broken, *entries(3, 2)], expected_last_seq=0, timeout_s=30)

    assert appended.stored == 2
    assert isinstance(appended.failure, ValueError)
    assert (await log.info()).last_seq == 2


async def test_a_repeated_id_is_not_stored_again_wherever_it_is_expected(bus):
    log = Log(bus, "LOG")
    await append(log, 0, 3)

    for expected_last_seq, actual in ((0, 3), (3, None)):
        refused = await append(log, 0, 1, at=expected_last_seq)
        assert refused.stored == 0
        assert isinstance(refused.failure, WrongLastSequence)
        assert refused.failure.actual == actual

    assert (await log.info()).last_seq == 3


async def test_kill_9_loses_neither_messages_nor_the_memory_of_ids(bus, broker):
    log = Log(bus, "LOG")
    await append(log, 0, 100)

    broker.kill()
    await eventually(lambda: not bus.connected)
    assert isinstance((await append(log, 100, 1)).failure, Disconnected)
    broker.start()
    await eventually(lambda: bus.connected)

    assert (await log.info()).last_seq == 100
    assert "knows this id as message 8" in str((await append(log, 7, 1, at=100)).failure)
    assert await append(log, 100, 1) == Appended(1)


async def test_a_window_that_is_cut_is_known_to_be_stored_up_to_some_place(bus, broker):
    log = Log(bus, "LOG")
    appending = asyncio.create_task(append(log, 0, 1000))
    await eventually(lambda: appending.done() or len(bus._inbox) > 0)

    broker.kill()
    appended = await appending
    await eventually(lambda: not bus.connected)
    broker.start()
    await eventually(lambda: bus.connected)

    assert appended.stored == 1000 or isinstance(appended.failure, Disconnected)
    assert (await log.info()).last_seq >= appended.stored


async def test_a_wiped_store_answers_nothing_until_it_is_declared_and_then_starts_at_zero(bus, broker):
    log = Log(bus, "LOG")
    await append(log, 0, 10)
    broker.kill()
    shutil.rmtree(broker.store)
    broker.start()
    await eventually(lambda: not bus.connected)
    await eventually(lambda: bus.connected)

    assert isinstance((await append(log, 10, 1)).failure, NoResponders)
    with pytest.raises(StreamError, match="stream not found"):
        await log.info()

    await declare(broker.url)
    refused = (await append(log, 10, 1)).failure
    assert isinstance(refused, WrongLastSequence)
    assert refused.actual == 0
    assert await append(log, 0, 12) == Appended(12), "ids are forgotten with the store"


async def test_many_may_store_without_knowing_where(bus):
    seqs = [
        await store(bus, "log.x", b"", {"A": "1"}, msg_id=msg_id, timeout_s=30) for msg_id in ("a", "b", "a")
    ]

    assert seqs == [1, 2, 1]
    with pytest.raises(NoResponders):
        await store(bus, "nowhere", b"", {}, msg_id="a", timeout_s=30)
