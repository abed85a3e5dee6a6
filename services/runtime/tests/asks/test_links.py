"""Links to answer by without a session: for one person, one ask, once, for a time."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from polis.proto import Refused, runtime
from polis.proto.problems import Fault, Forbidden
from polis.runtime.asks.links import MOST, Signer
from polis.service import Secret

GONE = runtime.AskLinkRefused()


@pytest.fixture
async def ask(ben, asking, asks):
    run = await asking.start(asks(kind="approval", text="Is it?"), 1)
    (ask,) = await asking.of(run, ben)
    return ask


@pytest.fixture
def linked(ben, ask):
    """The token of a new link."""

    async def linked(who=ben, **more):
        link = await who.call(runtime.CreateAskLink(ask.id, **more))
        path, _, token = link.path.partition("#")
        assert (path, link.principal_id) == ("/answer", who.principal_id)
        return token

    return linked


@pytest.fixture
def nobody(caller):
    """Calls without a session."""
    return caller.call


async def test_a_link_answers_once_as_whom_it_was_made_for(nobody, ben, ask, linked, asking, refused):
    token = await linked()
    for _ in range(2):
        sheet = await nobody(runtime.ShowAskLink(token))
    assert (sheet.ask.id, sheet.text, sheet.decisions) == (ask.id, "Is it?", ("approve", "deny"))

    assert (await nobody(runtime.AnswerAskLink(token, "approve"))).state == "answered"

    assert await refused(nobody(runtime.AnswerAskLink(token, "approve"))) == GONE
    assert await refused(nobody(runtime.ShowAskLink(token))) == GONE
    answer = (await ben.call(runtime.GetAsk(ask.id))).answer
    assert (answer.by, answer.via) == (ben.principal_id, "link")
    assert "ask_link_made" in await asking.facts(ask)


async def test_an_answer_that_does_not_fit_leaves_the_link_as_it_is(nobody, linked, refused):
    token = await linked()

    always = await refused(nobody(runtime.AnswerAskLink(token, "always")))

    assert always.faults == (Fault("/decision", "what stands for always is approved in person"),)
    assert (await nobody(runtime.AnswerAskLink(token, "deny"))).state == "answered"


async def test_one_that_was_answered_otherwise_says_so(nobody, ben, ask, linked, refused):
    token = await linked()
    await ben.call(runtime.AnswerAsk(ask.id, "deny"))

    assert (await nobody(runtime.ShowAskLink(token))).answer.decision == "deny"
    assert await refused(nobody(runtime.AnswerAskLink(token, "approve"))) == runtime.AskEnded("answered")


@pytest.mark.parametrize("change", ["expired", "forged", "of another mesh", "none", "handed on", "left"])
async def test_a_link_that_does_not_hold_is_refused_in_one_way(
    nobody, ben, ask, linked, actors, admin, refused, change
):
    token = await linked(ttl_s=60)
    match change:
        case "expired":
            await admin.execute("update runtime.ask_links set expires_at = now() where ask_id = $1", ask.id)
        case "forged":
            token = token[:30] + ("A" if token[30] != "A" else "B") + token[31:]
        case "of another mesh":
            token = Signer(Secret("another")).mint(ben.org_id)
        case "none":
            token = "pak_"
        case "handed on":
            actors.people[ben.org_id, ben.principal_id] = "owner"
        case "left":
            del actors.people[ben.org_id, ben.principal_id]

    for request in (runtime.ShowAskLink(token), runtime.AnswerAskLink(token, "approve")):
        problem = await refused(nobody(request))
        assert problem in (GONE, runtime.NotAddressed(ask.id))
    assert problem == GONE or change == "handed on"


async def test_the_token_is_nowhere_in_the_database(linked, admin):
    token = await linked()

    for table in ("ask_links", "asks", "outbox"):
        rows = await admin.fetch(f"select t::text as row from runtime.{table} t")
        assert rows
        assert not [row for row in rows if token in row["row"]]


async def test_what_is_not_to_be_answered_has_no_link(person, ask, ben, refused):
    stranger = person()
    with pytest.raises(Refused):
        await stranger.call(runtime.CreateAskLink(ask.id))

    await ben.call(runtime.AnswerAsk(ask.id, "deny"))

    assert await refused(ben.call(runtime.CreateAskLink(ask.id))) == runtime.AskEnded("answered")


@pytest.fixture
async def as_identity(stage, actors):
    """Identity as itself, who writes mails."""
    caller, org = await stage.caller("identity"), UUID(int=1)
    token = actors.token(sub=uuid4(), kind="service", name="identity", org=org, orgs={str(org): "service"})

    async def describe(ask, person, *, link=True):
        request = runtime.DescribeAsk(ask.org_id, ask.id, person.principal_id, link)
        return await caller.call(request, token=token)

    return describe


async def test_a_mail_says_what_is_asked_and_has_a_link_of_its_own(
    nobody, ben, ask, person, as_identity, refused
):
    notice = await as_identity(ask, ben, link=False)
    linked = await as_identity(ask, ben)

    assert (notice.title, notice.path, linked.title) == (ask.title, "/", ask.title)
    token = linked.path.partition("#")[2]
    assert (await nobody(runtime.AnswerAskLink(token, "approve"))).state == "answered"
    assert await refused(as_identity(ask, ben)) == runtime.AskEnded("answered")
    assert await refused(as_identity(ask, person())) == runtime.NotAddressed(ask.id)


async def test_one_has_so_many_links_to_an_ask_and_no_more(ben, ask, admin, linked, as_identity, refused):
    token = await linked()
    await admin.execute(
        """
        insert into runtime.ask_links (org_id, hash, ask_id, principal_id, expires_at)
        select org_id, hash || n::text::bytea, ask_id, principal_id, expires_at
        from runtime.ask_links, generate_series(1, $2) as n where ask_id = $1
        """,
        ask.id,
        MOST - 1,
    )

    assert await refused(linked()) == runtime.TooManyAskLinks(most=MOST)
    assert (await as_identity(ask, ben)).path == "/"
    assert token


async def test_who_needs_a_second_factor_answers_by_no_link(
    nobody, ben, ask, linked, actors, as_identity, refused
):
    token = await linked()
    actors.strict.add(ben.org_id)

    assert await refused(nobody(runtime.ShowAskLink(token))) == GONE
    assert await refused(linked()) == Forbidden(scope="session")
    assert (await as_identity(ask, ben)).path == "/"
    assert (await ben.call(runtime.AnswerAsk(ask.id, "approve"))).state == "answered"
