"""Approvals for always: what they stand for, when they do not, and what ends them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from polis.proto import identity, runtime
from polis.proto.identity import Conditions, Grant, Holder
from polis.proto.problems import Fault, Forbidden
from polis.proto.runtime import ANSWERS, Always
from polis.testing import eventually


@pytest.fixture
def sends(asks, asking):
    """Starts runs that ask whether a mail may be sent."""
    graph = asks(verb="mail:send", subject="mail/{{to}}", no_self=True)
    keys = {}

    async def sends(to, key="", **fields):
        if key not in keys:
            run = await asking.start(graph, {"to": to}, **fields)
            keys[key] = run.graph
            return run
        return await asking.starter.call(runtime.StartRun(graph=keys[key], input={"x": {"to": to}}, **fields))

    return sends


@pytest.fixture
def always(ben, asking):
    """Approve what a run asks, for always."""

    async def always(run, who=ben, **more):
        (ask,) = await asking.of(run, who)
        await who.call(runtime.AnswerAsk(ask.id, "always", always=Always(**more)))
        return (await who.call(runtime.ListApprovals(limit=1))).items[0]

    return always


async def test_what_was_approved_for_always_is_approved_as_it_opens_and_told_as_such(
    ben, sends, always, asking
):
    first = await sends("tom")
    approval = await always(first)
    assert (approval.verb, approval.subject, approval.graph) == ("mail:send", "mail/tom", first.graph)

    second, other = await sends("tom"), await sends("eve")

    values = await asking.output(second)
    assert values["y"] == [{"to": "tom"}]
    assert (values["told"][0]["via"], values["told"][0]["by"]) == ("standing", str(ben.principal_id))
    (answered,) = await asking.of(second, ben, state="answered")
    assert await asking.facts(answered) == ["ask_answered"]
    assert [ask.subject for ask in await asking.of(other, ben)] == ["mail/eve"]


async def test_a_pattern_stands_for_more_and_covers_what_was_asked(ben, sends, always, asking, refused):
    run = await sends("tom@example.org")
    (ask,) = await asking.of(run, ben)
    request = runtime.AnswerAsk(ask.id, "always", always=Always(subject="mail/*@other.org"))
    wrong = await refused(ben.call(request))
    assert wrong.faults == (Fault("/always/subject", "it does not cover what this ask is about"),)

    await always(run, subject="mail/*@example.org")

    assert (await asking.output(await sends("eve@example.org")))["y"] == [{"to": "eve@example.org"}]


async def test_of_an_agent_it_stands_in_every_graph_of_that_agent_alone(
    actors, ada, ben, sends, always, asking, tell
):
    for key in ("sarah", "tom"):
        actors.agent(ada.org_id, key)
    approval = await always(await sends("x", "one", agent="sarah"), of="agent")
    assert (approval.graph, approval.agent_id) == (None, actors.agents[ada.org_id, "sarah"].id)

    assert (await asking.output(await sends("x", "two", agent="sarah")))["y"] == [{"to": "x"}]
    assert await asking.of(await sends("x", "two", agent="tom"), ben)

    async def gone():
        return not (await ben.call(runtime.ListApprovals())).items

    await tell(identity.AgentDeleted(ada.org_id, approval.agent_id))
    await eventually(gone)


async def test_it_does_not_stand_for_the_runs_of_who_gave_it_where_nobody_answers_for_themselves(
    ben, sends, always, asking, person
):
    first = await sends("tom")
    await always(first)

    run = await ben.call(runtime.StartRun(graph=first.graph, input={"x": {"to": "tom"}}))

    assert await asking.of(run, person("admin"))


async def test_it_is_given_in_person(ben, person, sends, asking, refused):
    (ask,) = await asking.of(await sends("tom"), ben)
    key = person("admin", sub=ben.principal_id, act={"sub": f"key:{uuid4()}"})

    assert await refused(key.call(runtime.AnswerAsk(ask.id, "always"))) == Forbidden(scope="session")


async def test_it_is_listed_and_revoked_by_who_gave_it_or_manages_access(
    ben, person, sends, always, asking, refused
):
    approval = await always(await sends("tom"))
    stranger, owner = person(), person("owner")
    elsewhere = person("owner", org_id=uuid4())
    assert (await stranger.call(runtime.ListApprovals())).items == ()
    assert (await elsewhere.call(runtime.ListApprovals())).items == ()
    for who in (stranger, elsewhere):
        problem = await refused(who.call(runtime.RevokeApproval(approval.id)))
        assert problem == runtime.ApprovalNotFound(approval.id)
    assert (await owner.call(runtime.ListApprovals(limit=1))).items == (approval,)

    await owner.call(runtime.RevokeApproval(approval.id))

    assert approval not in (await ben.call(runtime.ListApprovals())).items
    assert await asking.of(await sends("tom"), ben)


@pytest.mark.parametrize("change", ["removed", "another role"])
async def test_it_ends_when_its_giver_could_not_give_it_any_more(
    actors, ada, ben, sends, always, tell, change
):
    approval = await always(await sends("tom"))
    if change == "removed":
        await tell(identity.MemberRemoved(ada.org_id, ben.principal_id))
    else:
        actors.people[ada.org_id, ben.principal_id] = "owner"
        await tell(identity.MemberRoleChanged(ada.org_id, ben.principal_id, "owner"))

    await eventually(lambda: gone(ben, approval), within_s=5)


async def test_one_that_was_given_by_a_grant_ends_with_it_and_others_stay(
    actors, ada, ben, person, sends, always, asking, asks, tell
):
    cem = person()
    holder = Holder("principal", cem.principal_id)
    grants = [
        Grant(uuid4(), ada.org_id, holder, ANSWERS, resource, uuid4(), datetime.now(UTC), Conditions())
        for resource in ("mails/in", "mails/out")
    ]
    actors.grants += grants
    kept = [
        await always(await sends("tom")),
        await always(await asking.start(asks(to=[{"grant": "mails/in"}]), 1), cem),
    ]
    lost = await always(await asking.start(asks(to=[{"grant": "mails/out"}]), 1), cem)

    actors.grants.remove(grants[1])
    await tell(identity.GrantTaken(ada.org_id, grants[1].id))

    await eventually(lambda: gone(cem, lost), within_s=5)
    assert not [approval for approval in kept if await gone(ben, approval) and await gone(cem, approval)]


async def test_one_that_was_given_by_a_grant_stands_no_longer_than_that(
    actors, ada, person, always, asking, asks
):
    cem = person()
    holder, until = Holder("principal", cem.principal_id), datetime.now(UTC) + timedelta(hours=1)
    actors.grants.append(
        Grant(uuid4(), ada.org_id, holder, ANSWERS, "mails/**", uuid4(), datetime.now(UTC), Conditions(until))
    )
    first = await asking.start(asks(to=[{"grant": "mails/in"}]), 1)
    approval = await always(first, cem)
    assert approval.expires_at == until

    await asking.admin.execute("update runtime.approvals set expires_at = now() where id = $1", approval.id)
    again = await ada.call(runtime.StartRun(graph=first.graph, input={"x": 1}))

    assert await asking.of(again, cem)
    assert await gone(cem, approval)
    assert (await always(again, cem)).id != approval.id


async def gone(who, approval):
    return approval not in (await who.call(runtime.ListApprovals(limit=200))).items
