"""G8, G12. Processes of messaging and gateways die and are replaced while people talk: one sequence, the same for every observer."""

from __future__ import annotations

import asyncio

import pytest

from polis.proto import messaging
from polis.testing import eventually
from tests.chaos.observers import Observer, Talk
from tests.chaos.speakers import Speakers

OBSERVERS = 3
SPEAKERS = 4
LEASE_S = 10.0
"""Longer than who speaks is silent when the process that had a call in hand is killed: that call is given up, and made again."""
FREE = 1_000_000


@pytest.fixture(scope="module")
async def edge(mesh):
    """Two processes of messaging, and a gateway."""
    for name in ("messaging-a", "messaging-b"):
        rates = {"posts_per_second": FREE, "conversation_posts_per_second": FREE}
        await mesh.start("messaging", name=name, **rates, stream_lease_s=LEASE_S)
    await mesh.start("gateway", sockets_per_principal=1_000)
    return mesh


async def replace(mesh, name):
    process = mesh.processes[name]
    process.kill()
    process.start()
    await process.ready()


@pytest.fixture
async def speakers(edge, dice):
    """Some who say things as streams, until the test is done with the rest."""
    made = await edge.call(messaging.CreateConversation(kind="group"))
    speakers = Speakers(edge, made.id)
    async with asyncio.TaskGroup() as group:
        for number in range(SPEAKERS):
            group.create_task(speakers.speak(number, dice))
        yield speakers
        speakers.ended = True


async def test_whoever_dies_numbers_have_no_gap_nothing_is_there_twice_and_all_see_the_same(
    edge, dice, speakers, full
):
    writers, conversations, some = (8, 50, 2_000) if full else (4, 10, 60)
    made = [await edge.call(messaging.CreateConversation(kind="group")) for _ in range(conversations)]
    ids = [each.id for each in made]
    talk = Talk(edge, ids)
    observers = [
        Observer(lambda: f"http://127.0.0.1:{edge.processes['gateway'].port}", edge.token, ids)
        for _ in range(OBSERVERS)
    ]
    following = [asyncio.create_task(observer.follow()) for observer in observers]
    try:
        async with talk.going_on(writers, dice):
            for name in ("messaging-a", "messaging-b", "gateway") * (5 if full else 1):
                await more(talk, some)
                await replace(edge, name)
            await more(talk, some)
        speakers.ended = True
        for id_ in ids:
            head = (await edge.call(messaging.GetConversation(id_))).head_seq
            topic = f"conversation/{id_}"
            await eventually(lambda t=topic, h=head: all(o.last(t) == h for o in observers), within_s=15)
    finally:
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)

    for id_ in ids:
        first, *others = (observer.entries[f"conversation/{id_}"] for observer in observers)
        assert all(other == first for other in others)
        assert {text: seq for seq, text in first if text} == talk.said[id_]
        assert len([text for _, text in first if text]) == len(talk.said[id_])
    assert all(observer.cuts for observer in observers)
    speakers.check(await eventually(speakers.all_said, within_s=4 * LEASE_S))
    print(f"{len(speakers.texts)} streams, {len(speakers.dead)} of them broken off")
    print(f"{talk.count} messages, cuts: {[observer.cuts for observer in observers]}")


async def more(talk, count):
    wanted = talk.count + count
    await eventually(lambda: talk.count >= wanted, within_s=60)
