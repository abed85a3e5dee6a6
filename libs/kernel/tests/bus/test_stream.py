"""One writer of a stream: order, fencing, repetition, and what a lost store looks like."""

from __future__ import annotations

import asyncio
import shutil

import nats
import pytest

from polis.bus import Disconnected, NoResponders
from polis.bus.jetstream import Log, StreamError, StreamState, WrongLastSequence, store

from .conftest import eventually


async def declare(url: str) -> None:
    client = await nats.connect(url)
    await client.jetstream().add_stream(name="LOG", subjects=["log.>"], duplicate_window=600)
    await client.close()


@pytest.fixture
async def bus(broker, connect):
    bus = await connect(broker.url)
    await declare(broker.url)
    return bus


def window(log: Log, first: int, count: int, ids: str = "id") -> list[asyncio.Future[int]]:
    return [
        log.append_nowait(
            f"log.{n}", b"%d" % n, {"N": str(n)}, msg_id=f"{ids}{n}", expected_last_seq=n, timeout_s=5
        )
        for n in range(first, first + count)
    ]


async def outcomes(appends: list[asyncio.Future[int]]) -> list[object]:
    return list(await asyncio.gather(*appends, return_exceptions=True))


async def test_a_thousand_in_flight_are_stored_in_order(bus):
    log = Log(bus, "LOG")

    assert await outcomes(window(log, 0, 1000)) == list(range(1, 1001))
    assert await log.info() == StreamState(messages=1000, first_seq=1, last_seq=1000)
    headers = await log.message(500)
    assert headers is not None
    assert (headers["N"], headers["Nats-Msg-Id"]) == ("499", "id499")
    assert await log.message(1001) is None


async def test_a_second_writer_is_refused_and_so_is_all_that_it_sent_behind(bus, broker, connect):
    first, second = Log(bus, "LOG"), Log(await connect(broker.url), "LOG")
    await outcomes(window(first, 0, 10))

    refused = await outcomes(window(second, 5, 20, ids="other"))

    assert {type(r) for r in refused[:5]} == {WrongLastSequence}
    assert [r.actual for r in refused[:5]] == [10] * 5
    assert refused[5:] == list(range(11, 26)), (
        "the part that fits by chance is stored: a relay must stop at the first"
    )
    assert (await first.info()).last_seq == 25


async def test_a_gap_in_a_window_refuses_everything_behind_it(bus):
    log = Log(bus, "LOG")

    appends = window(log, 0, 5) + window(log, 6, 5)

    results = await outcomes(appends)
    assert results[:5] == [1, 2, 3, 4, 5]
    assert {type(r) for r in results[5:]} == {WrongLastSequence}


async def test_a_repeated_id_is_not_stored_again_wherever_it_is_expected(bus):
    log = Log(bus, "LOG")
    await outcomes(window(log, 0, 3))

    for expected_last_seq, actual in ((0, 3), (3, None)):
        with pytest.raises(WrongLastSequence) as refused:
            await log.append(
                "log.0", b"0", {}, msg_id="id0", expected_last_seq=expected_last_seq, timeout_s=5
            )
        assert refused.value.actual == actual

    assert (await log.info()).last_seq == 3


async def test_kill_9_loses_neither_messages_nor_the_memory_of_ids(bus, broker):
    log = Log(bus, "LOG")
    await outcomes(window(log, 0, 100))

    broker.kill()
    await eventually(lambda: not bus.connected)
    with pytest.raises(Disconnected):
        window(log, 100, 1)
    broker.start()
    await eventually(lambda: bus.connected)

    assert (await log.info()).last_seq == 100
    with pytest.raises(WrongLastSequence, match="knows this id as message 8"):
        await log.append("log.7", b"7", {}, msg_id="id7", expected_last_seq=100, timeout_s=5)
    assert await outcomes(window(log, 100, 1)) == [101]


async def test_a_window_that_is_cut_is_known_to_be_stored_up_to_some_place(bus, broker):
    log = Log(bus, "LOG")
    appends = window(log, 0, 1000)
    await appends[0]

    broker.kill()
    results = await outcomes(appends)
    await eventually(lambda: not bus.connected)
    broker.start()
    await eventually(lambda: bus.connected)

    known = [r for r in results if isinstance(r, int)]
    assert known == list(range(1, len(known) + 1))
    assert {type(r) for r in results[len(known) :]} <= {Disconnected}
    assert (await log.info()).last_seq >= len(known)


async def test_a_wiped_store_answers_nothing_until_it_is_declared_and_then_starts_at_zero(bus, broker):
    log = Log(bus, "LOG")
    await outcomes(window(log, 0, 10))
    broker.kill()
    shutil.rmtree(broker.store)
    broker.start()
    await eventually(lambda: not bus.connected)
    await eventually(lambda: bus.connected)

    with pytest.raises(NoResponders):
        await window(log, 10, 1)[0]
    with pytest.raises(StreamError, match="stream not found"):
        await log.info()

    await declare(broker.url)
    with pytest.raises(WrongLastSequence) as refused:
        await window(log, 10, 1)[0]
    assert refused.value.actual == 0
    assert await outcomes(window(log, 0, 12)) == list(range(1, 13)), "ids are forgotten with the store"


async def test_many_may_store_without_knowing_where(bus):
    seqs = [
        await store(bus, "log.x", b"", {"A": "1"}, msg_id=msg_id, timeout_s=5) for msg_id in ("a", "b", "a")
    ]

    assert seqs == [1, 2, 1]
    with pytest.raises(NoResponders):
        await store(bus, "nowhere", b"", {}, msg_id="a", timeout_s=5)
