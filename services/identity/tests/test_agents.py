"""Agents, services and whom they act for."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from polis.proto.identity import (
    AgentKeyTaken,
    AgentNotFound,
    ChangeRole,
    CreateAgent,
    CreateOrg,
    Delegate,
    DeleteAgent,
    GetAgent,
    GetMe,
    InviteMember,
    ListAgents,
    ListMembers,
    PrincipalNotFound,
    RemoveMember,
    SignInClient,
    SignOut,
    SwitchOrg,
    WrongCredentials,
)
from polis.proto.problems import Forbidden, Invalid, Unauthenticated

SCOPES = ("catalog:read", "runtime:run")


@pytest.fixture
async def sarah(ada):
    return await ada.call(CreateAgent("sarah", "Sarah"))


@pytest.fixture
def sign_in(anybody):
    async def sign_in(made):
        token = await anybody.call(SignInClient(made.client_id, made.client_secret))
        return anybody.using(token.access_token)

    return sign_in


async def test_an_agent_signs_in_with_the_secret_that_was_shown_once(ada, sarah, sign_in, facts):
    me = await (await sign_in(sarah)).call(GetMe())

    assert (me.principal.id, me.principal.kind, me.principal.key) == (sarah.agent.id, "agent", "sarah")
    assert (me.org_id, me.role) == (ada.org_id, "agent")
    assert me.scopes == (
        *("catalog:read", "catalog:write", "identity:read", "messaging:control"),
        *(
            "messaging:read",
            "messaging:write",
            "runtime:answer",
            "runtime:read",
            "runtime:run",
            "runtime:work",
        ),
    )
    assert sarah.agent.created_by == ada.id
    assert [event["agent_id"] for event in await facts(ada.org_id, "agent_created")] == [str(sarah.agent.id)]


async def test_an_agent_is_found_by_id_and_key_and_listed_by_key(ada, sarah, join):
    viewer = await join(ada, "viewer")
    others = [(await ada.call(CreateAgent(key, key))).agent for key in ("zoe", "amy", "bob")]

    for name in ("sarah", str(sarah.agent.id), str(sarah.agent.id).upper()):
        assert await viewer.call(GetAgent(name)) == sarah.agent
    first = await viewer.call(ListAgents(None, 2))
    rest = await viewer.call(ListAgents(first.next_cursor, 2))
    assert first.items + rest.items == (others[1], others[2], sarah.agent, others[0])
    assert rest.next_cursor is None


async def test_a_key_is_unique_in_its_org_and_free_in_another(ada, ben, sarah, refused, facts):
    before = await facts(ada.org_id)

    assert await refused(ada.call(CreateAgent("sarah", "Other"))) == AgentKeyTaken(key="sarah")

    assert await facts(ada.org_id) == before
    assert await ben.call(CreateAgent("sarah", "Sarah"))


async def test_a_key_that_looks_like_anothers_id_does_not_stand_in_for_it(ada):
    first = (await ada.call(CreateAgent("first", "First"))).agent
    lookalike = UUID("a" + str(first.id)[1:])
    second = (await ada.call(CreateAgent(str(lookalike), "Second"))).agent

    assert await ada.call(GetAgent(str(lookalike))) == second
    assert await ada.call(GetAgent(str(first.id))) == first


async def test_creating_with_the_same_key_gives_the_same_secret_once(ada, sign_in, rows):
    request = CreateAgent("tom", "Tom")

    first, again = [await ada.call(request, key=f"tom-{ada.id}") for _ in range(2)]

    assert first == again
    assert len(await rows("select from identity.credentials where agent_id = $1", first.agent.id)) == 1
    assert await (await sign_in(again)).call(GetMe())


async def test_a_deleted_agent_is_gone_with_its_credentials_and_tokens(
    ada, sarah, sign_in, anybody, refused, facts, ended, rows
):
    agent = await sign_in(sarah)

    await ada.call(DeleteAgent("sarah"))

    problem = await refused(anybody.call(SignInClient(sarah.client_id, sarah.client_secret)))
    assert problem == WrongCredentials()
    agent.access_token = agent.token
    await ended(agent)
    assert await facts(ada.org_id, "agent_deleted") == [
        {"org_id": str(ada.org_id), "agent_id": str(sarah.agent.id)}
    ]
    assert await rows("select from identity.credentials where agent_id = $1", sarah.agent.id) == []
    assert await refused(ada.call(DeleteAgent("sarah"))) == AgentNotFound(agent="sarah")
    assert (await ada.call(CreateAgent("sarah", "Sarah"))).agent.id != sarah.agent.id


async def test_a_deleted_agents_token_is_refused_before_the_revocation_has_arrived(
    sarah, sign_in, rows, refused
):
    agent = await sign_in(sarah)
    await rows("delete from identity.agents where id = $1", sarah.agent.id)

    assert await refused(agent.call(GetMe())) == Unauthenticated()


async def test_wrong_and_unknown_credentials_look_the_same(ada, sarah, ben, anybody, refused):
    bob = await ben.call(CreateAgent("bob", "Bob"))
    attempts = [
        (sarah.client_id, "wrong"),
        (sarah.client_id, ""),
        (sarah.client_id, bob.client_secret),
        (sarah.client_id, sarah.client_secret + " "),
        ("sarah", sarah.client_secret),
        (str(uuid4()), sarah.client_secret),
        (str(ada.id), "canary-password"),
        ("", ""),
        ("identity", "wrong"),
        ("nobody", "0" * 64),
        ("identity\ud7ff", "x"),
    ]

    problems = [await refused(anybody.call(SignInClient(*attempt))) for attempt in attempts]

    assert problems == [WrongCredentials()] * len(attempts)


async def test_viewers_and_agents_make_and_delete_no_agents(ada, sarah, join, sign_in, refused):
    for caller in (await join(ada, "viewer"), await sign_in(sarah)):
        assert await refused(caller.call(CreateAgent("x", "X"))) == Forbidden(scope="identity:agents")
        assert await refused(caller.call(DeleteAgent("sarah"))) == Forbidden(scope="identity:agents")


async def test_an_agent_does_nothing_in_person(ada, sarah, sign_in, refused):
    agent = await sign_in(sarah)

    for request in (CreateOrg("x"), SwitchOrg(ada.org_id), SignOut()):
        assert await refused(agent.call(request)) == Forbidden(scope="session")
    assert await refused(agent.call(InviteMember("x@example.org"))) == Forbidden(scope="identity:members")


@pytest.mark.parametrize("agent", ["no/such", "a\x00b", "x" * 65])
async def test_what_is_no_name_of_an_agent_is_refused_by_the_contract(ada, refused, agent):
    assert isinstance(await refused(ada.call(GetAgent(agent))), Invalid)


class TestServices:
    async def test_a_service_signs_in_by_its_name_and_has_no_scope(self, as_service):
        me = await (await as_service("runtime")).call(GetMe())

        assert (me.principal.kind, me.principal.name, me.role, me.scopes) == (
            "service",
            "runtime",
            "service",
            (),
        )
        assert me.org_id == UUID(int=1)

    async def test_each_service_is_a_principal_of_its_own(self, as_service):
        ids = {(await (await as_service(name)).call(GetMe())).principal.id for name in ("runtime", "catalog")}

        assert len(ids) == 2

    async def test_a_name_that_is_no_service_has_no_credential(self, running, as_service, refused):
        assert await refused(as_service("stranger")) == WrongCredentials()

    async def test_a_service_does_nothing_by_itself_in_an_org(self, as_service, ada, refused):
        runtime = await as_service("runtime")

        assert await refused(runtime.call(ListMembers())) == Forbidden(scope="identity:read")
        assert await refused(runtime.call(ListMembers(), org=ada.org_id)) == Forbidden(scope="org")
        assert await refused(runtime.call(CreateOrg("x"))) == Forbidden(scope="session")


class TestDelegation:
    async def test_the_runtime_acts_as_an_agent_with_the_scopes_that_it_asked_for(
        self, ada, sarah, as_service, anybody
    ):
        runtime = await as_service("runtime")

        token = await runtime.call(Delegate(ada.org_id, sarah.agent.id, SCOPES))

        me = await anybody.using(token.access_token).call(GetMe())
        assert (me.principal.id, me.principal.kind, me.org_id) == (sarah.agent.id, "agent", ada.org_id)
        assert me.scopes == SCOPES

    async def test_nobody_gains_a_scope_by_delegation(self, ada, sarah, join, as_service, anybody, refused):
        runtime, viewer = await as_service("runtime"), await join(ada, "viewer")
        asked = ("identity:read", "identity:owners", "identity:members", "catalog:write")

        for principal_id, expected in (
            (sarah.agent.id, ("catalog:write", "identity:read")),
            (viewer.id, ("identity:read",)),
        ):
            token = await runtime.call(Delegate(ada.org_id, principal_id, asked))
            assert (await anybody.using(token.access_token).call(GetMe())).scopes == expected
        nothing = await runtime.call(Delegate(ada.org_id, ada.id, ()))
        assert (await anybody.using(nothing.access_token).call(GetMe())).scopes == ()

    async def test_a_token_for_a_user_opens_one_org_and_does_nothing_in_person(
        self, ada, as_service, anybody, refused
    ):
        other = await ada.call(CreateOrg("Other"))
        runtime = await as_service("runtime")
        token = await runtime.call(Delegate(ada.org_id, ada.id, ("identity:read", "identity:members")))
        acting = anybody.using(token.access_token)

        assert (await acting.call(GetMe())).memberships == ()
        assert await refused(acting.call(ListMembers(), org=other.id)) == Forbidden(scope="org")
        for request in (CreateOrg("x"), SwitchOrg(other.id), SignOut()):
            assert await refused(acting.call(request)) == Forbidden(scope="session")
        assert await refused(acting.call(Delegate(ada.org_id, ada.id, SCOPES))) == Forbidden(scope="internal")

    async def test_only_the_runtime_delegates(self, ada, sarah, as_service, sign_in, anybody, refused):
        request = Delegate(ada.org_id, sarah.agent.id, SCOPES)

        for caller in (ada, await sign_in(sarah), await as_service("catalog"), await as_service("gateway")):
            assert await refused(caller.call(request)) == Forbidden(scope="internal")

    async def test_who_is_not_active_in_the_org_is_not_found(
        self, ada, ben, sarah, as_service, rows, refused
    ):
        runtime = await as_service("runtime")
        await rows("update identity.accounts set suspended_at = now() where id = $1", ben.id)

        for org_id, principal_id in (
            (ada.org_id, ben.id),
            (ben.org_id, ben.id),
            (ben.org_id, sarah.agent.id),
            (ada.org_id, uuid4()),
            (uuid4(), ada.id),
            (UUID(int=1), ada.id),
        ):
            problem = await refused(runtime.call(Delegate(org_id, principal_id, SCOPES)))
            assert problem == PrincipalNotFound(principal_id=principal_id)

    @pytest.mark.parametrize("change", ["removed", "changed"])
    async def test_a_token_for_a_member_ends_with_the_membership_and_with_the_role(
        self, ada, join, as_service, anybody, ended, change
    ):
        cem = await join(ada, "member")
        runtime = await as_service("runtime")
        acting = await runtime.call(Delegate(ada.org_id, cem.id, SCOPES))

        await ada.call(RemoveMember(cem.id) if change == "removed" else ChangeRole(cem.id, "viewer"))

        await ended(acting)

    async def test_a_token_for_an_agent_ends_with_the_agent(self, ada, sarah, as_service, ended):
        runtime = await as_service("runtime")
        acting = await runtime.call(Delegate(ada.org_id, sarah.agent.id, SCOPES))

        await ada.call(DeleteAgent("sarah"))

        await ended(acting)
