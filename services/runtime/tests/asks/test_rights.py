"""Who sees and answers an ask: whom it is addressed to, now, and nobody else, in this org or another."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from polis.proto import runtime
from polis.proto.graph import Node
from polis.proto.identity import Conditions, Grant, Holder
from polis.proto.problems import Fault, Forbidden, Invalid
from polis.proto.runtime import ANSWERS, Addressee


@pytest.fixture
def as_agent(actors, caller, person, ada):
    """An agent of ada's org, made by somebody, with a token of its own."""

    def as_agent(by):
        agent = actors.agent(ada.org_id, f"a{uuid4().hex[:8]}", created_by=by)
        return person("agent", kind="agent", sub=agent.id)

    return as_agent


async def shut(ask, who, refused, problem):
    """Somebody finds nothing, reads nothing and answers nothing."""
    assert (await who.call(runtime.ListAsks(run_id=ask.run_id))).items == ()
    assert await refused(who.call(runtime.GetAsk(ask.id))) == runtime.AskNotFound(ask.id)
    for request in (
        runtime.AnswerAsk(ask.id, "approve"),
        runtime.DelegateAsk(ask.id, Addressee("role", role="member")),
        runtime.CreateAskLink(ask.id),
    ):
        assert await refused(who.call(request)) == problem


async def test_who_is_not_addressed_sees_and_answers_nothing(ada, ben, person, asking, asks, refused):
    run = await asking.start(asks(to=[{"principal": str(ben.principal_id)}]), 1)
    (ask,) = await asking.of(run, ben)
    elsewhere = person("admin", org_id=uuid4())

    await shut(ask, ada, refused, runtime.NotAddressed(ask.id))
    await shut(ask, person("admin"), refused, runtime.NotAddressed(ask.id))
    await shut(ask, elsewhere, refused, runtime.AskNotFound(ask.id))
    viewer = person("viewer")
    assert await refused(viewer.call(runtime.ListAsks())) == Forbidden(scope=ANSWERS)
    assert (await ben.call(runtime.AnswerAsk(ask.id, "approve"))).state == "answered"


async def test_a_role_is_everybody_who_has_it_now(actors, ben, asking, asks, refused):
    """Whatever an older token says of it."""
    run = await asking.start(asks(), 1)
    (ask,) = await asking.of(run, ben)

    actors.people[ben.org_id, ben.principal_id] = "member"

    await shut(ask, ben, refused, runtime.NotAddressed(ask.id))


async def test_a_grant_of_answering_opens_the_asks_of_its_resources(
    actors, ada, person, asking, asks, refused
):
    run = await asking.start(asks(to=[{"grant": "payments/{{of}}"}]), {"of": "large"})
    holder, other = person(), person()
    await asking.opened(run)
    given = _grant(ada.org_id, holder, "payments/*")
    actors.grants += [given, _grant(ada.org_id, other, "payments/small")]

    (ask,) = await asking.of(run, holder)
    assert (await holder.call(runtime.ListAsks())).items == (ask,)
    await shut(ask, other, refused, runtime.NotAddressed(ask.id))
    actors.grants.remove(given)
    await shut(ask, holder, refused, runtime.NotAddressed(ask.id))


async def test_nobody_answers_for_themselves_where_the_ask_says_so(
    actors, ada, ben, person, as_agent, asking, asks, refused
):
    """Neither who started the run, nor their agents and keys, nor the agent that it acts as and what that made."""
    acts = actors.agent(ada.org_id, "acts", created_by=ben.principal_id)
    everybody = [{"role": role} for role in ("member", "admin", "agent")]
    run = await asking.start(asks(to=everybody, no_self=True), 1, agent="acts")
    (ask,) = await asking.of(run, ben)

    mine = as_agent(ada.principal_id)
    of_its_own = as_agent(acts.id)
    key = person(sub=ada.principal_id, act={"sub": f"key:{uuid4()}"})
    for who in (ada, mine, of_its_own, key, person("agent", kind="agent", sub=acts.id)):
        await shut(ask, who, refused, runtime.NotAddressed(ask.id))
    handed_to_her = runtime.DelegateAsk(ask.id, Addressee("principal", id=ada.principal_id))
    assert await refused(ben.call(handed_to_her)) == runtime.AddresseeRefused(handed_to_her.to)

    assert (await as_agent(ben.principal_id).call(runtime.GetAsk(ask.id))).ask.id == ask.id
    assert (await ben.call(runtime.AnswerAsk(ask.id, "approve"))).state == "answered"


async def test_without_that_whoever_started_the_run_may_be_the_one_who_is_asked(ada, asking, asks):
    run = await asking.start(asks(to=[{"starter": True}]), 1)
    (ask,) = await asking.of(run, ada)

    assert ask.to == (Addressee("principal", id=ada.principal_id),)
    assert (await ada.call(runtime.AnswerAsk(ask.id, "approve"))).state == "answered"


async def test_who_is_asked_by_name_hands_it_on_and_has_it_no_more(ben, person, asking, asks, refused):
    run = await asking.start(asks(to=[{"principal": str(ben.principal_id)}]), 1)
    (ask,) = await asking.of(run, ben)
    cem = person()

    handed = await ben.call(runtime.DelegateAsk(ask.id, Addressee("principal", id=cem.principal_id)))

    assert handed.to == (Addressee("principal", id=cem.principal_id),)
    await shut(ask, ben, refused, runtime.NotAddressed(ask.id))
    added = await cem.call(runtime.DelegateAsk(ask.id, Addressee("role", role="owner")))
    assert added.to == (Addressee("role", role="owner"),)
    assert (await asking.facts(ask))[1:] == ["ask_delegated", "ask_delegated"]


async def test_of_a_role_one_adds_another_and_everybody_keeps_it(ben, person, asking, asks):
    run = await asking.start(asks(), 1)
    (ask,) = await asking.of(run, ben)
    cem = person()

    await ben.call(runtime.DelegateAsk(ask.id, Addressee("principal", id=cem.principal_id)))

    assert [a.id for a in await asking.of(run, ben)] == [ask.id]
    assert (await cem.call(runtime.AnswerAsk(ask.id, "approve"))).state == "answered"


@pytest.mark.parametrize(
    "to", [Addressee("principal"), Addressee("role", id=uuid4()), Addressee("grant", role="admin")]
)
async def test_an_addressee_names_what_its_kind_is_named_by(ben, asking, asks, refused, to):
    run = await asking.start(asks(), 1)
    (ask,) = await asking.of(run, ben)

    problem = await refused(ben.call(runtime.DelegateAsk(ask.id, to)))

    assert problem == Invalid(faults=(Fault("/to", problem.faults[0].detail),))


async def test_it_is_handed_to_nobody_who_could_not_answer(ben, person, asking, asks, refused):
    run = await asking.start(asks(), 1)
    (ask,) = await asking.of(run, ben)

    for nobody in (uuid4(), person("viewer").principal_id):
        to = Addressee("principal", id=nobody)
        assert await refused(ben.call(runtime.DelegateAsk(ask.id, to))) == runtime.AddresseeRefused(to)


async def test_an_inbox_is_read_in_pages_the_newest_first_and_filtered(ben, asking, asks_behind):
    config = {"kind": "choice", "title": "{{.}}", "to": [{"role": "admin"}], "choices": ["a", "b"]}
    run = await asking.start(asks_behind(Node("split"), config=config), [1, 2, 3, 4, 5])
    await asking.of(run, ben, count=5)

    titles, after = [], None
    while True:
        page = await ben.call(runtime.ListAsks(run_id=run.id, limit=2, after=after))
        titles += [ask.title for ask in page.items]
        after = page.next_cursor
        if after is None:
            break

    assert sorted(titles) == ["1", "2", "3", "4", "5"]
    assert titles == [ask.title for ask in (await ben.call(runtime.ListAsks(kind="choice"))).items]
    first = await ben.call(runtime.ListAsks(limit=3))
    second = await ben.call(runtime.ListAsks(limit=3, after=first.next_cursor))
    assert titles == [ask.title for ask in (*first.items, *second.items)]
    assert (await ben.call(runtime.ListAsks(run_id=run.id, kind="vote"))).items == ()
    assert (await ben.call(runtime.ListAsks(kind="vote"))).items == ()
    assert (await ben.call(runtime.ListAsks(run_id=run.id, state="answered"))).items == ()


def _grant(org_id, person, resource):
    holder = Holder("principal", person.principal_id)
    return Grant(uuid4(), org_id, holder, ANSWERS, resource, uuid4(), datetime.now(UTC), Conditions())
