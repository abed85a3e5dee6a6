"""Whatever comes together, exactly one answers for a conversation, and one a message; everybody sees who in the same order."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from polis.bus.permissions import ADMIN
from polis.messaging import access
from polis.messaging.conversations import rows as conversations
from polis.messaging.conversations.turn import Turn
from polis.messaging.handoff import clock, passing
from polis.messaging.telling import Telling
from polis.messaging.turns import clock as turns
from polis.proto import Refused
from polis.proto import messaging as m
from polis.proto.problems import Forbidden
from polis.proto.runtime import Addressee
from polis.testing import eventually
from polis.testing.actors import SERVICE_ORG

SEED = 11
ROUNDS = 50
AFTER = {
    None: {"waiting"},
    "waiting": {"claimed", "declined", "expired", "cancelled", "passed"},
    "claimed": {"returned", "passed"},
}


@pytest.fixture
def agent(actors, running):
    """Makes agents of somebody's org."""

    def make(of):
        made = actors.agent(of.org_id, f"a-{uuid4()}")
        return actors.person("agent", org_id=of.org_id, kind="agent", sub=made.id)

    return make


@pytest.fixture
def database(running):
    return running.kernel.database


@pytest.fixture
def time_passes(running, database):
    """All that is under way in an org is due at once, and what is due is done."""

    async def passes(org_id):
        async with database.transaction([org_id]) as tx:
            await tx.execute(
                """
                update messaging.handoffs set due_at = clock_timestamp()
                where org_id = $1 and due_at is not null and state in ('waiting', 'claimed')
                """,
                org_id,
            )
        await clock.sweep(database, Telling(running.kernel.bus))

    return passes


async def log_of(caller, conversation_id):
    seen, seq = [], 0
    while True:
        part = await caller.call(m.WatchConversation(conversation_id, after=seq))
        assert part.recovered
        seen += part.entries
        seq = part.seq
        if seq == part.conversation.head_seq:
            return seen, part.conversation


def to(somebody):
    return Addressee("principal", id=somebody.principal_id)


class Office:
    """People and an agent who hand a conversation back and forth, as it comes into their heads."""

    def __init__(self, chance, running, owner, everybody, conversation):
        self.chance, self.running, self.id = chance, running, conversation.id
        self.owner, self.everybody = owner, everybody
        self.handoffs = [uuid4()]
        self.org_id = conversation.org_id
        self.done = 0

    async def does_something(self, time_passes):
        chance = self.chance
        somebody, other = chance.sample(self.everybody, 2)
        whoever, known = chance.choice((self.owner, somebody)), chance.choice(self.handoffs[-2:])
        addressed = chance.choice(
            (to(other), Addressee("role", role="member"), Addressee("role", role="admin"))
        )
        doings = {
            lambda: whoever.call(m.HandOff(self.id, addressed, "why", held_s=chance.choice((None, 5)))): 5,
            lambda: somebody.call(m.ClaimHandoff(known)): 6,
            lambda: whoever.call(m.ReturnHandoff(known)): 4,
            lambda: whoever.call(m.CancelHandoff(known)): 2,
            lambda: somebody.call(m.LeaveConversation(self.id)): 1,
            lambda: self.owner.call(m.AddParticipant(self.id, other.principal_id, role="observer")): 2,
            lambda: time_passes(self.org_id): 1,
            lambda: self.route(somebody, other): 1,
        }
        try:
            answer = await chance.choices(list(doings), list(doings.values()))[0]()
        except Refused:
            return
        self.done += 1
        if isinstance(answer, m.Handoff) and answer.id not in self.handoffs:
            self.handoffs.append(answer.id)

    async def route(self, somebody, other):
        async with self.running.kernel.database.transaction([self.org_id]) as tx:
            await access.lock_rows(tx, self.org_id, [self.id])
            [row] = await conversations.locked(tx, [self.id])
            turn = Turn(
                tx, Telling(self.running.kernel.bus), row, actor_id=somebody.principal_id, at=row.last_at
            )
            await passing.route(turn, other.principal_id, "user")
            await turn.close()

    async def demand_one(self):
        async with self.running.kernel.database.transaction([self.org_id]) as tx:
            held = await tx.rows(
                bool,
                """
                select p.state = 'joined' and p.role <> 'observer' and coalesce(h.claimed_by = c.responsible_id, true)
                from messaging.conversations c
                left join messaging.participants p
                    on p.org_id = c.org_id and p.conversation_id = c.id and p.principal_id = c.responsible_id
                left join messaging.handoffs h
                    on h.org_id = c.org_id and h.conversation_id = c.id and h.state = 'claimed'
                where c.org_id = $1 and c.id = $2
                """,
                self.org_id,
                self.id,
            )
        assert held == [True]


async def test_whatever_comes_together_exactly_one_is_responsible(person, agent, running, time_passes):
    ada = person("owner")
    crowd = [agent(ada), person("admin", of=ada), *(person("member", of=ada) for _ in range(2))]
    made = await ada.call(
        m.CreateConversation(kind="group", participants=tuple(p.principal_id for p in crowd[:2]))
    )
    office = Office(random.Random(SEED), running, ada, crowd, made)

    for _ in range(ROUNDS):
        await asyncio.gather(*(office.does_something(time_passes) for _ in range(3)))
        await office.demand_one()

    entries, now = await log_of(ada, made.id)
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    responsible, states, inside = made.responsible_id, {}, {}
    for entry in entries:
        match entry.kind:
            case "responsible":
                assert entry.conversation.responsible_id != responsible
                responsible = entry.conversation.responsible_id
                assert inside[responsible] == "joined"
            case "handoff":
                told = entry.handoff
                assert told.state in AFTER[states.get(told.id)]
                states[told.id] = told.state
                assert told.state != "claimed" or told.claimed_by == responsible
            case "participant":
                inside[entry.participant.principal_id] = entry.participant.state
    assert responsible == now.responsible_id
    assert len(states) > 3
    assert len(set(states.values())) > 2
    assert office.done > ROUNDS / 2


async def test_what_is_said_is_said_to_who_was_responsible_then(person, agent, actors, stage):
    """Who starts runs for messages may hear of them late."""
    ada = person("owner")
    sarah, dora = agent(ada), agent(ada)
    both = sarah.principal_id, dora.principal_id
    made = await ada.call(m.CreateConversation(kind="group", participants=both))
    runtime = await stage.caller(ADMIN)
    token = actors.token(
        sub=uuid4(), kind="service", name="runtime", org=SERVICE_ORG, orgs={str(SERVICE_ORG): "service"}
    )

    async def said(text, **fields):
        return (await ada.call(m.PostMessage(made.id, text=text, **fields))).seq

    before, asked = await said("nothing for her"), await said("and you?", mentions=(sarah.principal_id,))
    await ada.call(m.ControlConversation(made.id, m.RouteControl(sarah.principal_id)))
    after = await said("yours")
    await ada.call(m.ControlConversation(made.id, m.RouteControl(dora.principal_id)))
    last = await said("and yours")

    heard = [
        await runtime.call(m.GetAddressed(ada.org_id, made.id, seq), token=token)
        for seq in (before, asked, after, last)
    ]
    hers = (sarah.principal_id,)
    assert [each.principal_ids for each in heard] == [(), hers, hers, (dora.principal_id,)]


async def test_an_agent_hands_a_person_over_to_people_and_gets_them_back(person, agent, refused, actors):
    tom = person("member")
    sarah, eve, carl, ben = (
        agent(tom),
        person("member", of=tom),
        person("admin", of=tom),
        person("admin", of=tom),
    )
    made = await tom.call(m.OpenDirect(sarah.principal_id))
    assert made.responsible_id == sarah.principal_id

    begun = await sarah.call(
        m.HandOff(made.id, Addressee("role", role="admin"), "A refund", summary="Charged twice")
    )
    again = await refused(sarah.call(m.HandOff(made.id, to(carl), "A refund")))
    assert again == m.HandoffWaits(handoff_id=begun.id)
    assert (await carl.call(m.ListHandoffs())).items == (begun,)
    assert (await eve.call(m.ListHandoffs())).items == ()
    assert await refused(eve.call(m.GetHandoff(begun.id))) == m.HandoffNotFound(handoff_id=begun.id)
    assert await refused(eve.call(m.ClaimHandoff(begun.id))) == m.HandoffNotFound(handoff_id=begun.id)
    assert isinstance(await refused(tom.call(m.ClaimHandoff(begun.id))), Forbidden)

    claimed = await carl.call(m.ClaimHandoff(begun.id))
    assert (claimed.state, claimed.claimed_by, claimed.from_id) == (
        "claimed",
        carl.principal_id,
        sarah.principal_id,
    )
    assert await carl.call(m.ClaimHandoff(begun.id)) == claimed
    for request in (m.ClaimHandoff(begun.id), m.ReturnHandoff(begun.id)):
        assert await refused(ben.call(request)) == m.HandoffEnded(state="claimed")
    await carl.call(m.PostMessage(made.id, text="I see to it."))

    returned = await carl.call(m.ReturnHandoff(begun.id, note="Refunded"))
    now = await tom.call(m.GetConversation(made.id))
    assert (returned.state, returned.note) == ("returned", "Refunded")
    assert now.responsible_id == sarah.principal_id
    assert await refused(ben.call(m.ReturnHandoff(begun.id))) == m.HandoffEnded(state="returned")
    # He came for the handoff alone.
    assert await refused(carl.call(m.GetConversation(made.id))) == m.ConversationNotFound(
        conversation_id=made.id
    )


async def test_time_ends_what_nobody_claims_and_gives_back_what_is_held_for_too_long(
    person, agent, time_passes
):
    ada = person("owner")
    sarah = agent(ada)
    made = await ada.call(m.CreateConversation(kind="group", participants=(sarah.principal_id,)))
    assert made.responsible_id == ada.principal_id

    first = await ada.call(m.HandOff(made.id, to(sarah), "a"))
    await time_passes(ada.org_id)
    second = await ada.call(m.HandOff(made.id, to(sarah), "b", held_s=60))
    await sarah.call(m.ClaimHandoff(second.id))
    held = await ada.call(m.GetConversation(made.id))
    await time_passes(ada.org_id)

    listed = (await ada.call(m.ListHandoffs(conversation_id=made.id))).items
    assert [(each.id, each.state) for each in listed] == [(second.id, "returned"), (first.id, "expired")]
    assert held.responsible_id == sarah.principal_id
    assert (await ada.call(m.GetConversation(made.id))).responsible_id == ada.principal_id


async def test_a_handoff_that_cannot_end_holds_up_no_other(person, agent, time_passes, monkeypatch):
    ada = person("owner")
    sarah = agent(ada)
    broken, fine = [
        await ada.call(m.CreateConversation(kind="group", participants=(sarah.principal_id,)))
        for _ in range(2)
    ]
    for made in (broken, fine):
        await ada.call(m.HandOff(made.id, to(sarah), "a"))
    expire = clock.passing.expire

    async def defective(turn, handoff):
        if handoff.conversation_id == broken.id:
            raise RuntimeError("a defect")
        await expire(turn, handoff)

    async def state(made):
        [found] = (await ada.call(m.ListHandoffs(conversation_id=made.id))).items
        return found.state, found.due_at and found.due_at > datetime.now(UTC) + timedelta(seconds=9)

    monkeypatch.setattr(clock.passing, "expire", defective)
    await time_passes(ada.org_id)
    after = [await state(broken), await state(fine)]
    monkeypatch.undo()
    await time_passes(ada.org_id)

    assert after == [("waiting", True), ("expired", None)]
    assert await state(broken) == ("expired", None)


@pytest.fixture
def agents(person, agent):
    """A group of Ada's with agents in it, and what she has said there."""

    async def make(count):
        ada = person("owner")
        crowd = sorted((agent(ada) for _ in range(count)), key=lambda each: each.principal_id)
        made = await ada.call(
            m.CreateConversation(kind="group", participants=tuple(each.principal_id for each in crowd))
        )
        asked = await ada.call(m.PostMessage(made.id, text="Who can help?"))
        return ada, crowd, asked

    return make


async def test_of_several_agents_that_claim_a_message_exactly_one_answers_it(agents, refused):
    ada, crowd, asked = await agents(5)
    chance = random.Random(SEED)
    claims = {each.principal_id: chance.choice((0.2, 0.9)) for each in crowd[:4]}
    here = (asked.conversation_id, asked.seq)

    first = await crowd[4].call(m.DeferTurn(*here, justification="Not about mail"))
    assert first.state == "open"
    assert isinstance(
        await refused(crowd[4].call(m.PostMessage(asked.conversation_id, text="Still"))), m.NotYourTurn
    )
    told = await asyncio.gather(
        *(
            each.call(m.ClaimTurn(*here, justification="Mine", confidence=claims[each.principal_id]))
            for each in crowd[:4]
        )
    )
    best = min(claims, key=lambda each: (-claims[each], each))
    assert {(each.state, each.holder_id) for each in told} == {("held", best)}

    tries = await asyncio.gather(
        *(each.call(m.PostMessage(asked.conversation_id, text="I do", reply_to=asked.seq)) for each in crowd),
        return_exceptions=True,
    )
    posted = [each for each in tries if isinstance(each, m.Posted)]
    late = next(each for each in crowd if each.principal_id != best)
    again = await refused(late.call(m.PostMessage(asked.conversation_id, text="Me too", reply_to=asked.seq)))
    turn = await ada.call(m.GetTurn(*here))
    assert len(posted) == 1
    assert (turn.state, turn.answer_seq, len(turn.claims)) == ("answered", posted[0].seq, 5)
    assert again == m.NotYourTurn(message_seq=asked.seq, holder_id=best)
    entries, _ = await log_of(ada, asked.conversation_id)
    assert [(each.turn.holder_id, len(each.turn.claims)) for each in entries if each.kind == "turn"] == [
        (best, 5)
    ]


async def test_a_turn_goes_to_the_next_who_claimed_it_and_lapses_when_nobody_answers(
    agents, running, database, refused
):
    ada, (one, other, third), asked = await agents(3)
    here = (asked.conversation_id, asked.seq)

    async def time_is_over():
        async with database.transaction([ada.org_id]) as tx:
            await tx.execute(
                "update messaging.turns set due_at = clock_timestamp() where org_id = $1 and due_at is not null",
                ada.org_id,
            )
        await turns.sweep(database, Telling(running.kernel.bus), 60)

    # The third says nothing, so the window has to pass.
    held, _ = await asyncio.gather(
        one.call(m.ClaimTurn(*here, justification="Mine", confidence=0.9)),
        other.call(m.ClaimTurn(*here, justification="Else I", confidence=0.4)),
    )
    assert held.holder_id == one.principal_id
    hello = await ada.call(m.PostMessage(asked.conversation_id, text="Hello?"))
    late = await refused(third.call(m.BeginStream(asked.conversation_id, "late")))
    saying = await one.call(m.BeginStream(asked.conversation_id, "saying"))
    await time_is_over()
    speaking = await ada.call(m.GetTurn(*here))
    assert (late.holder_id, speaking.holder_id) == (one.principal_id, one.principal_id)
    await ada.call(m.ControlConversation(asked.conversation_id, m.PreemptControl(), saying.stream_id))
    await time_is_over()
    assert (await ada.call(m.GetTurn(*here))).holder_id == other.principal_id
    pending = await refused(third.call(m.ClaimTurn(asked.conversation_id, hello.seq, justification="I")))
    assert pending.holder_id == other.principal_id
    await time_is_over()

    lapsed = await third.call(m.GetTurn(*here))
    assert (lapsed.state, lapsed.holder_id, [each.expired for each in lapsed.claims]) == (
        "lapsed",
        None,
        [True, True],
    )
    await third.call(m.PostMessage(asked.conversation_id, text="Free again"))


async def test_a_turn_is_nobodys_who_may_say_nothing_any_more(agents):
    ada, (one, other, third), asked = await agents(3)
    here = (asked.conversation_id, asked.seq)
    held, *_ = await asyncio.gather(
        one.call(m.ClaimTurn(*here, justification="Mine", confidence=0.9)),
        other.call(m.ClaimTurn(*here, justification="Else I", confidence=0.4)),
        third.call(m.ClaimTurn(*here, justification="Or I", confidence=0.2)),
    )
    assert held.holder_id == one.principal_id

    await ada.call(m.ChangeParticipant(here[0], other.principal_id, role="observer"))
    await ada.call(m.RemoveParticipant(here[0], one.principal_id))

    async def next_one():
        return (await ada.call(m.GetTurn(*here))).holder_id == third.principal_id

    await eventually(next_one)
    await third.call(m.PostMessage(here[0], text="I do", reply_to=asked.seq))


async def test_a_turn_that_cannot_be_decided_holds_up_no_other(agents, running, database, monkeypatch):
    talks = [await agents(1) for _ in range(2)]
    for _, [one], asked in talks:
        await one.call(m.ClaimTurn(asked.conversation_id, asked.seq, justification="Mine", confidence=0.9))
    (ada, _, broken), (ben, _, fine) = talks
    advance = turns.deciding.advance

    async def defective(log, turn, hold_s):
        if turn.conversation_id == broken.conversation_id:
            raise RuntimeError("a defect")
        return await advance(log, turn, hold_s)

    monkeypatch.setattr(turns.deciding, "advance", defective)
    async with database.transaction([ada.org_id, ben.org_id]) as tx:
        await tx.execute("update messaging.turns set due_at = clock_timestamp() where due_at is not null")
    await turns.sweep(database, Telling(running.kernel.bus), 60)

    stays = await ada.call(m.GetTurn(broken.conversation_id, broken.seq))
    lapsed = await ben.call(m.GetTurn(fine.conversation_id, fine.seq))
    assert (stays.state, stays.due_at > datetime.now(UTC) + timedelta(seconds=9)) == ("held", True)
    assert lapsed.state == "lapsed"


async def test_agents_talk_with_each_other_for_so_long_and_then_a_person_has_to_say_something(
    agents, refused
):
    ada, (one, other), asked = await agents(2)
    say = m.PostMessage(asked.conversation_id, text="x" * 30_000)

    for _ in range(40):
        await one.call(m.PostMessage(asked.conversation_id, text="Alone I may say what I like"))
    for number in range(32):
        await (other, one)[number % 2].call(m.PostMessage(asked.conversation_id, text="And you?"))
    too_often = await refused(other.call(m.PostMessage(asked.conversation_id, text="And you?")))
    await ada.call(m.PostMessage(asked.conversation_id, text="Enough"))
    await one.call(say)
    for _ in range(6):
        await other.call(say)
    too_much = await refused(other.call(say))

    assert too_often == m.AgentTalkBound(what="turns", most=32)
    assert too_much == m.AgentTalkBound(what="characters", most=200_000)
