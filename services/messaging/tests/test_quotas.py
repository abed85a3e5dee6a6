"""Messages and quotas: what is bound is bound exactly, by however many processes, and nobody else pays for it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import asyncpg
import pytest

from polis.bus.jetstream import store
from polis.bus.permissions import ADMIN
from polis.messaging.service import service
from polis.proto import Refused
from polis.proto import messaging as m
from polis.proto.identity import OverQuota, QuotaRemoved, QuotaSet, Subject
from polis.proto.problems import Unavailable
from polis.service import blocks, envelope, serving
from polis.testing import eventually
from polis.testing.usage import PlayedUsage


@pytest.fixture(scope="module")
async def played_usage(stage):
    return await PlayedUsage.on(await stage.bus(ADMIN), "messages")


@pytest.fixture
def usage(played_usage):
    played_usage.begin()
    return played_usage


@pytest.fixture
async def admin(stage):
    """A connection that sees everything."""
    connection = await asyncpg.connect(stage.database.admin_url)
    yield connection
    await connection.close()


@pytest.fixture
def tell(stage):
    """Publish an event as identity would."""

    async def tell(event):
        subject, headers, payload = envelope.encode(event, uuid4(), datetime.now(UTC))
        bus = await stage.bus(ADMIN)
        await store(bus, subject, payload, headers, msg_id=headers["Nats-Msg-Id"], timeout_s=5)

    return tell


@pytest.fixture
async def bound(tell, stage, running):
    """Tell of a quota of somebody's org; its id, once every process of messaging knows."""
    told = []
    bus = await stage.bus(ADMIN)
    # Who hears the word before a request hears it before that request in the other processes, too.
    await bus.subscribe("peer.messaging.quotas", lambda message: told.append(message.payload.decode()))

    async def bound(person, meter="messages"):
        told.clear()
        quota_id = uuid4()
        await tell(QuotaSet(person.org_id, quota_id, Subject("org"), meter, "day", 7))
        if meter == "messages":
            await eventually(lambda: str(person.org_id) in "".join(told))
        return quota_id

    return bound


@pytest.fixture
def room(person):
    """A conversation, with who is in it."""

    async def room(others=0):
        ada = person()
        people = [ada, *(person(of=ada) for _ in range(others))]
        made = await ada.call(
            m.CreateConversation(kind="group", participants=tuple(each.principal_id for each in people[1:]))
        )
        return people, made.id

    return room


async def texts(person, conversation_id):
    said = await person.call(m.ListMessages(conversation_id, limit=200))
    return sorted(message.text for message in said.items)


def problem_of(answer):
    return answer.problem if isinstance(answer, Refused) else None


async def test_an_org_without_a_quota_for_messages_is_not_asked_about(room, bound, usage):
    [ada], id_ = await room()
    [tom], other = await room()
    await bound(ada, meter="runs")
    await bound(tom)

    for text in ("one", "@nobody two"):
        await ada.call(m.PostMessage(id_, text=text))
    await ada.call(m.PostMessage(id_, text="three"), key="k")
    await ada.call(m.BeginStream(id_, client_id="s"))
    assert usage.reserved == []

    await tom.call(m.PostMessage(other, text="one"))
    assert [(r.org_id, r.principal_id, r.amount) for r in usage.reserved] == [
        (tom.org_id, tom.principal_id, 1)
    ]


async def test_who_says_much_is_asked_about_seldom_and_all_of_it_counts(room, bound, usage):
    [ada], id_ = await room()
    await bound(ada)

    await asyncio.gather(*(ada.call(m.PostMessage(id_, text=f"{n}")) for n in range(60)))

    assert len(usage.reserved) < 30
    await eventually(lambda: sum(usage.told().values()) == 60, within_s=20)
    assert usage.told().keys() == {r.reservation_id for r in usage.reserved}


async def test_a_message_counts_for_who_says_it_and_the_key(room, actors, bound, usage):
    [ada], id_ = await room()
    await bound(ada)
    key_id = uuid4()
    by_key = actors.person(org_id=ada.org_id, act={"sub": f"key:{key_id}"})
    await ada.call(m.AddParticipant(id_, by_key.principal_id))

    await by_key.call(m.PostMessage(id_, text="x"))

    [reserved] = usage.reserved
    assert (reserved.principal_id, reserved.key_id) == (by_key.principal_id, key_id)


async def test_however_many_processes_there_are_as_many_are_said_as_may_and_one_alone_can_say_all_of_them(
    room, stage, bound, usage
):
    people, id_ = await room(others=2)
    # It ends with the test: others are about what one process knows of what it gives back.
    async with serving(service, stage.settings("messaging")):
        await bound(people[0])
        usage.left = 40

        answers = await asyncio.gather(
            *(
                people[n % 3].call(m.PostMessage(id_, text=f"{n}", attributes={"n": n} if n % 2 else {}))
                for n in range(120)
            ),
            return_exceptions=True,
        )
        assert {type(problem_of(answer)) for answer in answers} <= {type(None), OverQuota}
        said = sum(isinstance(answer, m.Posted) for answer in answers)
        assert 0 < said <= 40

        async def the_rest():
            nonlocal said
            rest = people[0].call(m.PostMessage(id_, text="rest"))
            [answer] = await asyncio.gather(rest, return_exceptions=True)
            said += isinstance(answer, m.Posted)
            return said >= 40

        await eventually(the_rest, within_s=30)
        with pytest.raises(Refused) as caught:
            await people[0].call(m.PostMessage(id_, text="one more"))
        assert isinstance(caught.value.problem, OverQuota)
        assert len(await texts(people[0], id_)) == 40


async def test_near_the_end_of_a_quota_nothing_is_set_aside_that_others_could_use(room, bound, usage):
    [ada, tom], id_ = await room(others=1)
    await bound(ada)
    usage.left = 12

    for n in range(6):
        await ada.call(m.PostMessage(id_, text=f"{n}"))
    for n in range(6):
        await tom.call(m.PostMessage(id_, text=f"{n}"))

    assert len(await texts(ada, id_)) == 12


async def test_what_is_refused_leaves_nothing_behind(room, bound, usage, refused, admin):
    [ada], id_ = await room()
    await bound(ada)
    usage.left = 1
    await ada.call(m.PostMessage(id_, text="said"))

    for request, key in (
        (m.PostMessage(id_, text="plain"), ""),
        (m.PostMessage(id_, text="named", client_id="c"), ""),
        (m.PostMessage(id_, text="keyed"), "k"),
        (m.PostMessage(id_, text="an answer", reply_to=1), ""),
        (m.BeginStream(id_, client_id="s"), ""),
    ):
        assert await refused(ada.call(request, key=key)) == usage.over

    assert await texts(ada, id_) == ["said"]
    assert await admin.fetchval("select count(*) from messaging.streams where conversation_id = $1", id_) == 0
    assert (
        await admin.fetchval(
            "select count(*) from messaging.outbox where entity = $1 and fact = 'message_posted'", str(id_)
        )
        == 1
    )


async def test_a_repeat_does_not_count_and_has_its_answer_when_nothing_is_left(room, bound, usage, refused):
    [ada], id_ = await room()
    await bound(ada)
    usage.left = 3
    named = await ada.call(m.PostMessage(id_, text="x", client_id="c"))
    keyed = await ada.call(m.PostMessage(id_, text="y"), key="k")
    stream = await ada.call(m.BeginStream(id_, client_id="s"))
    assert await refused(ada.call(m.PostMessage(id_, text="z"))) == usage.over

    async def repeated():
        assert (await ada.call(m.PostMessage(id_, text="x", client_id="c"))).seq == named.seq
        assert await ada.call(m.PostMessage(id_, text="y"), key="k") == keyed
        assert (await ada.call(m.BeginStream(id_, client_id="s"))).stream_id == stream.stream_id

    await repeated()
    usage.left = 5
    await eventually(lambda: repeated_with_room(usage, repeated), within_s=20)
    await eventually(lambda: usage.left == 5, within_s=20)
    assert sum(usage.told().values()) == 3


@pytest.mark.parametrize("denies_after_s", [0.0, 0.4])
async def test_what_is_on_its_way_back_is_waited_for_before_anybody_is_refused(
    room, bound, usage, refused, denies_after_s
):
    """Also where identity says no when what comes back has just been settled."""
    [ada], id_ = await room()
    await bound(ada)
    await ada.call(m.PostMessage(id_, text="x", client_id="c"))
    await eventually(lambda: len(usage.told()) == len(usage.reserved))
    usage.left, usage.settles_after_s, usage.denies_after_s = 1, 0.2, denies_after_s

    assert (await ada.call(m.PostMessage(id_, text="x", client_id="c"))).repeated
    await ada.call(m.PostMessage(id_, text="y"))

    assert await refused(ada.call(m.PostMessage(id_, text="z"))) == usage.over
    assert await texts(ada, id_) == ["x", "y"]


async def repeated_with_room(usage, repeated):
    """Whether the repeats had something set aside."""
    before = len(usage.reserved)
    await repeated()
    return len(usage.reserved) > before


async def test_what_the_rules_refuse_does_not_count(room, person, bound, usage, refused):
    [ada], id_ = await room()
    await bound(ada)
    stranger = person(of=ada)

    assert isinstance(await refused(stranger.call(m.PostMessage(id_, text="x"))), m.ConversationNotFound)

    await eventually(lambda: list(usage.told().values()) == [0], within_s=20)


async def test_a_stream_counts_once_when_it_begins(room, bound, usage):
    [ada], id_ = await room()
    await bound(ada)
    begun = await ada.call(m.BeginStream(id_, client_id="s"))
    usage.left = 0

    await ada.call(m.ContinueStream(begun.stream_id, at=0, text="said"))
    await ada.call(m.EndStream(begun.stream_id))

    assert await texts(ada, id_) == ["said"]
    await eventually(lambda: list(usage.told().values()) == [1], within_s=20)


@pytest.fixture
def set_aside_more(usage):
    """Say something until more is set aside than was said; how often."""

    async def set_aside_more(person, conversation_id):
        async def said():
            await person.call(m.PostMessage(conversation_id, text="x"))
            return usage.reserved[-1].amount > 1

        await eventually(said)
        return len(await texts(person, conversation_id))

    return set_aside_more


async def test_what_is_set_aside_is_given_back_when_another_quota_is_set(
    room, bound, usage, refused, monkeypatch, set_aside_more
):
    monkeypatch.setattr(blocks, "LIFE_S", 3600.0)
    [ada], id_ = await room()
    await bound(ada)
    said = await set_aside_more(ada, id_)
    usage.left = -1_000  # of the other one, whatever is given back to this

    await bound(ada)

    await eventually(lambda: sum(usage.told().values()) == said)
    assert isinstance(await refused(ada.call(m.PostMessage(id_, text="beyond"))), OverQuota)


async def test_what_is_set_aside_in_a_period_is_given_back_at_its_end(
    room, bound, usage, monkeypatch, set_aside_more
):
    monkeypatch.setattr(blocks, "LIFE_S", 3600.0)
    monkeypatch.setattr(blocks, "_MINUTE_S", 5.0)
    [ada], id_ = await room()
    await bound(ada)

    said = await set_aside_more(ada, id_)

    await eventually(lambda: usage.told().keys() == {r.reservation_id for r in usage.reserved}, within_s=20)
    assert sum(usage.told().values()) == said


async def test_an_org_whose_quotas_are_removed_is_asked_about_no_more(room, bound, usage, tell):
    [ada], id_ = await room()
    quota_id = await bound(ada)
    usage.left = 0
    with pytest.raises(Refused):
        await ada.call(m.PostMessage(id_, text="x"))

    await tell(QuotaRemoved(ada.org_id, quota_id))

    async def again():
        try:
            return await ada.call(m.PostMessage(id_, text="x"))
        except Refused:
            return None

    await eventually(again)


async def test_while_identity_is_silent_who_is_bound_says_nothing_and_others_go_on(
    room, bound, usage, refused
):
    [ada], id_ = await room()
    [tom], other = await room()
    await bound(ada)
    usage.silent = True

    assert await refused(ada.call(m.PostMessage(id_, text="x"))) == Unavailable(dependency="identity")
    await tom.call(m.PostMessage(other, text="x"))

    assert await texts(ada, id_) == []
    assert [r.org_id for r in usage.reserved] == [ada.org_id]
