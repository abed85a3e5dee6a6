"""Whatever happens in a conversation is an entry: a snapshot with the entries behind it applied is the next snapshot."""

from __future__ import annotations

import random

import msgspec
import pytest

from polis.bus.permissions import ADMIN
from polis.proto import Refused
from polis.proto import messaging as m
from polis.proto.messaging import LIVE_CONVERSATION, LiveConversation
from polis.proto.runtime import Addressee
from polis.testing import eventually

SEED = 21
TURNS = 126


def applied(snapshot, entry):
    """What a client makes of an entry."""
    conversation = entry.conversation or snapshot.conversation
    conversation = msgspec.structs.replace(conversation, head_seq=entry.seq, last_at=entry.at)
    people = {each.principal_id: each for each in snapshot.participants}
    said = {each.seq: each for each in snapshot.messages}
    if entry.participant is not None:
        people.pop(entry.participant.principal_id, None)
        if entry.participant.state in ("joined", "invited"):
            people[entry.participant.principal_id] = entry.participant
    handoffs = {each.id: each for each in snapshot.handoffs}
    if entry.handoff is not None:
        handoffs.pop(entry.handoff.id, None)
        if entry.handoff.state in ("waiting", "claimed"):
            handoffs[entry.handoff.id] = entry.handoff
    if entry.message is not None and (entry.kind == "posted" or entry.message.seq in said):
        said[entry.message.seq] = entry.message
    return msgspec.structs.replace(
        snapshot,
        conversation=conversation,
        seq=entry.seq,
        participants=tuple(people[each] for each in sorted(people)),
        messages=tuple(said[seq] for seq in sorted(said))[-50:],
        entries=(),
        streams=(),
        handoffs=tuple(handoffs[each] for each in sorted(handoffs)),
    )


class Crowd:
    """People who do in a conversation whatever comes into their heads."""

    def __init__(self, chance, people, conversation):
        self.chance = chance
        self.others = people[1:]
        self.people = [people[0], people[0], *people]
        self.id = conversation.id
        self.refused = 0
        self.said = [1]
        self.handoffs = [conversation.id]

    async def turn(self):
        somebody, other = self.chance.choice(self.people), self.chance.choice(self.others)
        requests = self.requests(self.chance.choice(self.said), other.principal_id)
        try:
            answer = await somebody.call(self.chance.choice(requests))
        except Refused:
            self.refused += 1
        else:
            if isinstance(answer, m.Posted):
                self.said.append(answer.seq)
            if isinstance(answer, m.Handoff):
                self.handoffs.append(answer.id)

    def requests(self, seq, other):
        chance = self.chance
        return [
            *[m.PostMessage(self.id, text=f"said {chance.random()}")] * 4,
            m.PostMessage(self.id, text="below", thread=seq),
            *[m.EditMessage(self.id, seq, text=f"edited {chance.random()}")] * 2,
            *[m.DeleteMessage(self.id, seq)] * 2,
            *[m.ReactToMessage(self.id, seq, chance.choice("ab"), on=chance.random() < 0.7)] * 2,
            *[m.PinMessage(self.id, seq, pinned=chance.random() < 0.6)] * 2,
            *[m.ChangeConversation(self.id, name=chance.choice("xyz"), topic=chance.choice("xyz"))] * 2,
            m.AddParticipant(self.id, other, invite=chance.random() < 0.3),
            m.ChangeParticipant(
                self.id, other, role=chance.choice(("admin", "member", "member", "observer"))
            ),
            m.RemoveParticipant(self.id, other),
            m.BanParticipant(self.id, other),
            *[m.JoinConversation(self.id)] * 4,
            m.MarkConversation(self.id, read_seq=seq),
            *[m.HandOff(self.id, Addressee("role", role="member"), "why")] * 4,
            *[m.ClaimHandoff(self.handoffs[-1])] * 5,
            m.ReturnHandoff(self.handoffs[-1]),
            *[m.BeginStream(self.id, f"{chance.random()}")] * 3,
            m.ControlConversation(self.id, chance.choice((m.PauseControl(), m.ResumeControl()))),
            *[m.ControlConversation(self.id, m.PreemptControl())] * 2,
        ]


@pytest.fixture
async def live(stage):
    """What is told live of a conversation."""
    bus = await stage.bus(ADMIN)
    heard = []

    async def listen(conversation):
        subject = LIVE_CONVERSATION.subject(conversation.org_id, conversation.id)
        await bus.subscribe(
            subject, lambda msg: heard.extend(msgspec.json.decode(msg.payload, type=LiveConversation).entries)
        )
        return heard

    return listen


async def test_a_snapshot_and_what_came_after_it_make_the_next_snapshot(person, live):
    ada = person()
    people = [ada, *(person(of=ada) for _ in range(4))]
    made = await ada.call(
        m.CreateConversation(kind="channel", name="c", participants=tuple(p.principal_id for p in people[1:]))
    )
    heard = await live(made)
    crowd = Crowd(random.Random(SEED), people, made)
    before = whole = await ada.call(m.WatchConversation(made.id))

    for number in range(TURNS):
        await crowd.turn()
        if number % 9 == 8:
            now = await ada.call(m.WatchConversation(made.id))
            behind = await ada.call(m.WatchConversation(made.id, after=before.seq))
            for entry in behind.entries:
                before = applied(before, entry)
            # What is being said has no number until it is a message.
            assert before == msgspec.structs.replace(now, streams=())

    head = before.seq
    await eventually(lambda: heard and heard[-1].seq == head)
    assert [entry.seq for entry in heard] == list(range(whole.seq + 1, head + 1))
    for entry in heard:
        whole = applied(whole, entry)
    assert whole == before
    assert {entry.kind for entry in heard} >= {
        "changed",
        "participant",
        "posted",
        "edited",
        "deleted",
        "reacted",
        "pinned",
        "handoff",
        "responsible",
        "control",
    }
    assert crowd.refused < TURNS / 2


async def test_a_cursor_that_cannot_be_continued_gets_a_snapshot_and_is_told_so(person):
    ada = person()
    made = await ada.call(m.CreateConversation(kind="group"))

    ahead = await ada.call(m.WatchConversation(made.id, after=made.head_seq + 1))
    level = await ada.call(m.WatchConversation(made.id, after=made.head_seq))

    assert not ahead.recovered
    assert [p.principal_id for p in ahead.participants] == [ada.principal_id]
    assert level.recovered
    assert (level.entries, level.seq) == ((), made.head_seq)


async def test_a_log_longer_than_an_answer_comes_in_parts_and_one_that_is_too_long_not_at_all(person):
    ada = person()
    made = await ada.call(m.CreateConversation(kind="group"))
    for _ in range(30):
        await ada.call(m.PostMessage(made.id, text="x" * 32_000))
    seen, seq = [], 0

    while True:
        part = await ada.call(m.WatchConversation(made.id, after=seq))
        assert part.recovered
        seen += [entry.seq for entry in part.entries]
        seq = part.seq
        if seq == part.conversation.head_seq:
            break

    assert seen == list(range(1, made.head_seq + 31))
    assert len(part.entries) < len(seen)
