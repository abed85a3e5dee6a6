"""Who is in a conversation, what they may do in it, and how that ends."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from polis.bus.jetstream import store
from polis.bus.permissions import ADMIN
from polis.db.session import session
from polis.proto import messaging as m
from polis.proto.identity import MemberRemoved
from polis.proto.problems import Forbidden, Invalid
from polis.service import envelope
from polis.service.actor import BY_KEY
from polis.testing import eventually


@pytest.fixture
def people(person):
    ada = person()
    return ada, *(person(of=ada) for _ in range(3))


async def begin(owner, *others, kind="group", **fields):
    made = await owner.call(
        m.CreateConversation(kind=kind, participants=tuple(o.principal_id for o in others), **fields)
    )
    return made.id


async def roles(somebody, id_):
    found = await somebody.call(m.ListParticipants(id_))
    return {p.principal_id: p.role for p in found.items if p.state == "joined"}


@pytest.mark.parametrize("field", ["name", "topic"])
async def test_a_conversation_is_newly_called_what_shows_and_turns_nothing(people, refused, stage, field):
    ada = people[0]
    for called in ("\u202eeman", "\u200b", "a\x85b"):
        given = {field: called}
        for request in (m.CreateConversation("group", **given), m.ChangeConversation(uuid4(), **given)):
            problem = await refused(ada.call(request))
            assert [fault.pointer for fault in problem.faults] == [f"/{field}"]
    id_ = await begin(ada, name="می\u200cنویسم", topic="")
    assert (await ada.call(m.ChangeConversation(id_, name="", topic="\u200fשם"))).topic == "\u200fשם"

    async with session(stage.database.admin_url, "names") as admin:
        await admin.execute(f"update messaging.conversations set {field} = $2 where id = $1", id_, "\u202ea")
    assert getattr(await ada.call(m.GetConversation(id_)), field) == "\u202ea"


async def test_there_is_one_conversation_for_each_pair_whoever_begins_it(people, refused):
    ada, tom, eve, _ = people

    made = await asyncio.gather(
        *(a.call(m.OpenDirect(b.principal_id)) for a, b in [(ada, tom), (tom, ada)] * 4)
    )

    assert len({each.id for each in made}) == 1
    assert made[0].with_ids == tuple(sorted((ada.principal_id, tom.principal_id)))
    id_ = made[0].id
    assert isinstance(await refused(eve.call(m.GetConversation(id_))), m.ConversationNotFound)
    for request in (
        m.AddParticipant(id_, eve.principal_id),
        m.LeaveConversation(id_),
        m.RemoveParticipant(id_, tom.principal_id),
        m.ChangeConversation(id_, name="Us"),
    ):
        assert isinstance(await refused(ada.call(request)), m.DirectConversation)
    assert (await tom.call(m.ChangeConversation(id_, data_class="restricted"))).data_class == "restricted"
    assert await refused(ada.call(m.OpenDirect(ada.principal_id))) == m.RecipientUnknown(ada.principal_id)


async def test_only_who_manages_a_group_says_who_is_in_it_and_owners_stand_above_admins(people, refused):
    ada, tom, eve, max_ = people
    id_ = await begin(ada, tom, eve)

    async def forbidden(who, request):
        return isinstance(await refused(who.call(request)), Forbidden)

    assert await forbidden(tom, m.AddParticipant(id_, max_.principal_id))
    await ada.call(m.ChangeParticipant(id_, tom.principal_id, role="admin"))
    await tom.call(m.AddParticipant(id_, max_.principal_id))
    assert await forbidden(tom, m.AddParticipant(id_, max_.principal_id, role="owner"))
    assert await forbidden(tom, m.RemoveParticipant(id_, ada.principal_id))
    assert await forbidden(tom, m.ChangeParticipant(id_, eve.principal_id, role="owner"))
    await ada.call(m.ChangeParticipant(id_, eve.principal_id, role="admin"))
    assert await forbidden(tom, m.BanParticipant(id_, eve.principal_id))
    assert await forbidden(max_, m.ChangeConversation(id_, name="Mine"))
    await tom.call(m.RemoveParticipant(id_, max_.principal_id))
    assert await roles(ada, id_) == {
        ada.principal_id: "owner",
        tom.principal_id: "admin",
        eve.principal_id: "admin",
    }
    unknown = uuid4()
    assert await refused(ada.call(m.AddParticipant(id_, unknown))) == m.RecipientUnknown(unknown)


async def test_who_is_invited_comes_in_by_themselves_and_reads_nothing_before(people, refused):
    ada, tom, _, _ = people
    id_ = await begin(ada)

    await ada.call(m.AddParticipant(id_, tom.principal_id, role="observer", invite=True))

    [mine] = (await tom.call(m.ListConversations())).items
    assert (mine.invited, mine.conversation.id) == (True, id_)
    assert isinstance(await refused(tom.call(m.ListMessages(id_))), m.ConversationNotFound)
    await tom.call(m.JoinConversation(id_))
    assert (await roles(tom, id_))[tom.principal_id] == "observer"


async def test_who_may_only_read_comes_and_goes_in_person(people, person, actors, refused):
    ada, *_ = people
    vic, key = person("viewer", of=ada), {"sub": f"{BY_KEY}{uuid4()}"}
    by_key = actors.person("viewer", org_id=ada.org_id, sub=vic.principal_id, act=key)
    channel, group = await begin(ada, kind="channel", name="All"), await begin(ada)
    await ada.call(m.AddParticipant(group, vic.principal_id, invite=True))

    assert await refused(by_key.call(m.JoinConversation(channel))) == Forbidden("messaging:write")
    await vic.call(m.JoinConversation(channel))
    await vic.call(m.JoinConversation(group))
    there = [(await roles(vic, each))[vic.principal_id] for each in (channel, group)]
    assert there == ["observer", "member"]
    assert await refused(by_key.call(m.LeaveConversation(group))) == Forbidden("messaging:write")
    await vic.call(m.LeaveConversation(group))
    assert isinstance(await refused(vic.call(m.GetConversation(group))), m.ConversationNotFound)


async def test_who_is_banned_sees_nothing_until_that_is_taken_back(people, refused):
    ada, tom, eve, _ = people
    id_ = await begin(ada, tom, kind="channel", name="All")

    await ada.call(m.BanParticipant(id_, tom.principal_id))

    assert isinstance(await refused(tom.call(m.GetConversation(id_))), m.ConversationNotFound)
    banned = m.BannedFromConversation(tom.principal_id)
    assert await refused(tom.call(m.JoinConversation(id_))) == banned
    assert await refused(ada.call(m.AddParticipant(id_, tom.principal_id))) == banned
    assert not (await tom.call(m.ListChannels())).items
    assert tom.principal_id not in {p.principal_id for p in (await eve.call(m.ListParticipants(id_))).items}
    await ada.call(m.RemoveParticipant(id_, tom.principal_id))
    await tom.call(m.JoinConversation(id_))


async def test_who_is_muted_stays_so_when_they_leave_and_come_back(people, refused):
    ada, tom, eve, _ = people
    until = datetime.now(UTC) + timedelta(hours=1)
    id_ = await begin(ada, tom, eve, kind="channel", name="All")
    muted = m.MutedInConversation(until=until)
    await ada.call(m.ChangeParticipant(id_, tom.principal_id, muted_until=until))

    await tom.call(m.LeaveConversation(id_))
    await tom.call(m.JoinConversation(id_))
    assert await refused(tom.call(m.PostMessage(id_, text="Hello"))) == muted
    await tom.call(m.LeaveConversation(id_))
    assert (await eve.call(m.AddParticipant(id_, tom.principal_id))).muted_until == until
    assert await refused(tom.call(m.PostMessage(id_, text="Hello"))) == muted
    await ada.call(m.ChangeParticipant(id_, tom.principal_id, muted_until=datetime(2001, 1, 1, tzinfo=UTC)))
    await tom.call(m.PostMessage(id_, text="Hello"))


async def test_who_was_made_an_observer_stays_one_until_who_manages_says_otherwise(people, refused):
    ada, tom, eve, _ = people
    id_ = await begin(ada, tom, eve, kind="channel", name="All")
    await ada.call(m.ChangeParticipant(id_, tom.principal_id, role="observer"))

    await tom.call(m.LeaveConversation(id_))
    await tom.call(m.JoinConversation(id_))
    assert (await roles(ada, id_))[tom.principal_id] == "observer"
    await tom.call(m.LeaveConversation(id_))
    assert (await eve.call(m.AddParticipant(id_, tom.principal_id))).role == "observer"
    assert isinstance(await refused(tom.call(m.PostMessage(id_, text="Hello"))), Forbidden)
    await tom.call(m.LeaveConversation(id_))
    assert (await ada.call(m.AddParticipant(id_, tom.principal_id))).role == "member"
    await tom.call(m.PostMessage(id_, text="Hello"))


async def test_who_is_invited_to_manage_it_is_made_less_by_an_owner_alone(people):
    ada, tom, eve, max_ = people
    id_ = await begin(ada, tom, max_, kind="channel", name="All")
    await ada.call(m.ChangeParticipant(id_, tom.principal_id, role="admin"))

    for role, others in (("owner", (tom, max_)), ("admin", (tom, max_))):
        for other in others:
            await ada.call(m.AddParticipant(id_, eve.principal_id, role, invite=True))
            assert (await other.call(m.AddParticipant(id_, eve.principal_id))).role == role
            await ada.call(m.RemoveParticipant(id_, eve.principal_id))

    await ada.call(m.AddParticipant(id_, eve.principal_id, "admin", invite=True))
    assert (await ada.call(m.AddParticipant(id_, eve.principal_id, "observer"))).role == "observer"


async def test_a_channel_is_found_read_and_joined_by_everybody_in_the_org(people, person, refused):
    ada, tom, eve, _ = people
    names = ("General", "general talk", "Games")
    ids = {name: await begin(ada, kind="channel", name=name) for name in names}
    await begin(ada, kind="channel", name="General secret", visibility="private")

    found = [c.name for c in (await tom.call(m.ListChannels(name="GENERAL"))).items]
    first = await tom.call(m.ListChannels(limit=2))
    rest = await tom.call(m.ListChannels(limit=2, after=first.next_cursor))

    assert found == ["General", "general talk"]
    assert [c.name for c in first.items + rest.items] == ["Games", "General", "general talk"]
    id_ = ids["General"]
    assert isinstance(await refused(tom.call(m.PostMessage(id_, text="x"))), Forbidden)
    await tom.call(m.JoinConversation(id_))
    await tom.call(m.PostMessage(id_, text="x"))
    await tom.call(m.AddParticipant(id_, eve.principal_id))
    assert not (await person().call(m.ListChannels())).items


async def test_when_the_last_owner_leaves_the_first_admin_or_member_owns_it(people):
    ada, tom, eve, _ = people
    id_ = await begin(ada, tom, eve)
    await ada.call(m.ChangeParticipant(id_, eve.principal_id, role="admin"))

    await ada.call(m.LeaveConversation(id_))
    assert await roles(tom, id_) == {tom.principal_id: "member", eve.principal_id: "owner"}
    await eve.call(m.LeaveConversation(id_))
    assert await roles(tom, id_) == {tom.principal_id: "owner"}


async def test_an_only_owner_who_would_be_less_hands_it_to_somebody_else_and_stays_where_nobody_can(people):
    ada, tom, eve, _ = people
    id_ = await begin(ada, tom, eve)
    await ada.call(m.ChangeParticipant(id_, eve.principal_id, role="observer"))

    assert (await ada.call(m.ChangeParticipant(id_, ada.principal_id, role="admin"))).role == "admin"
    assert await roles(eve, id_) == {
        ada.principal_id: "admin",
        tom.principal_id: "owner",
        eve.principal_id: "observer",
    }
    await tom.call(m.ChangeParticipant(id_, ada.principal_id, role="observer"))
    assert (await tom.call(m.ChangeParticipant(id_, tom.principal_id, role="member"))).role == "owner"
    assert (await roles(eve, id_))[tom.principal_id] == "owner"


async def test_among_agents_people_only_look_on(people, actors, refused):
    ada, tom, _, _ = people
    sarah = actors.agent(ada.org_id, "sarah")
    id_ = (await ada.call(m.CreateConversation(kind="agents", participants=(sarah.id, tom.principal_id)))).id

    assert await roles(ada, id_) == {
        ada.principal_id: "owner",
        sarah.id: "member",
        tom.principal_id: "observer",
    }
    problem = await refused(ada.call(m.ChangeParticipant(id_, tom.principal_id, role="member")))
    assert isinstance(problem, Invalid)


async def test_who_leaves_the_org_is_in_nothing_any_more(stage, people):
    ada, tom, _, _ = people
    group, direct = await begin(tom, ada), (await tom.call(m.OpenDirect(ada.principal_id))).id
    event = MemberRemoved(ada.org_id, tom.principal_id)
    subject, headers, payload = envelope.encode(event, uuid4(), datetime.now(UTC))

    await store(await stage.bus(ADMIN), subject, payload, headers, msg_id=headers["Nats-Msg-Id"], timeout_s=5)

    async def alone():
        return await roles(ada, group) == {ada.principal_id: "owner"}

    await eventually(alone)
    left = await ada.call(m.GetConversation(direct))
    # They stay two; only who answers for it is another one.
    assert (left.head_seq, left.responsible_id) == (4, ada.principal_id)
