"""Agents beyond their birth: how they are named, what they may do, their credentials, suspension and units."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import msgspec
import pytest

from polis.identity.principals import credentials
from polis.proto.identity import (
    AgentNotFound,
    AgentNumberTaken,
    CreateAgent,
    CreateRole,
    CreateUnit,
    CredentialNotFound,
    Delegate,
    DeleteAgent,
    DeleteUnit,
    GetAgent,
    GetMe,
    ListAgents,
    ListCredentials,
    ListUnits,
    PrincipalNotFound,
    RenameUnit,
    ResumeAgent,
    RevokeCredential,
    RotateCredential,
    SignInClient,
    SuspendAgent,
    TooManyCredentials,
    UnitInUse,
    UnitKeyTaken,
    UnitMisplaced,
    UnitNotFound,
    UpdateAgent,
    WrongCredentials,
)
from polis.proto.problems import Forbidden, Unauthenticated

READ = ("catalog:read", "identity:read")


@pytest.fixture
async def sarah(ada):
    return await ada.call(CreateAgent("sarah", "Sarah"))


@pytest.fixture
def sign_in(anybody):
    async def sign_in(made):
        token = await anybody.call(SignInClient(made.client_id, made.client_secret))
        somebody = anybody.using(token.access_token)
        somebody.access_token = token.access_token
        return somebody

    return sign_in


async def scopes(somebody):
    return (await somebody.call(GetMe())).scopes


class TestNames:
    async def test_agents_are_numbered_and_found_by_number_key_and_id(self, ada, ben):
        made = [(await ada.call(CreateAgent(key, "A"))).agent for key in ("one", "two")]
        wanted = (await ada.call(CreateAgent("seven", "A", number=7))).agent
        after = (await ada.call(CreateAgent("eight", "A"))).agent

        assert [agent.number for agent in (*made, wanted, after)] == [1, 2, 7, 8]
        for name in ("7", "seven", str(wanted.id)):
            assert await ada.call(GetAgent(name)) == wanted
        assert (await ben.call(CreateAgent("x", "A"))).agent.number == 1

    async def test_a_number_is_one_agents_and_a_used_one_is_not_given_again(self, ada, sarah, refused):
        problem = await refused(ada.call(CreateAgent("other", "Other", number=1)))
        assert problem == AgentNumberTaken(number=1)

        await ada.call(DeleteAgent("1"))

        assert (await ada.call(CreateAgent("next", "Next"))).agent.number == 2
        assert await refused(ada.call(GetAgent("99999999999"))) == AgentNotFound(agent="99999999999")

    async def test_agents_made_at_once_have_numbers_of_their_own(self, ada):
        made = await asyncio.gather(*(ada.call(CreateAgent(f"a{n}", "A")) for n in range(8)))

        assert sorted(m.agent.number for m in made) == list(range(1, 9))

    async def test_agents_are_listed_by_name_kind_and_unit(self, ada, sarah):
        unit = await ada.call(CreateUnit("project", "city", "City"))
        program = (await ada.call(CreateAgent("bot", "Bot", "application", unit_id=unit.id))).agent

        assert (await ada.call(ListAgents(name="sarah"))).items == (sarah.agent,)
        assert (await ada.call(ListAgents(kind="application"))).items == (program,)
        assert (await ada.call(ListAgents(unit_id=unit.id))).items == (program,)
        assert (await ada.call(ListAgents(name="nobody"))).items == ()


class TestRights:
    async def test_an_application_is_no_service_of_the_mesh_whatever_it_is_called(
        self, ada, sign_in, refused
    ):
        program = await ada.call(CreateAgent("runtime", "runtime", "application"))
        somebody = await sign_in(program)

        assert (await somebody.call(GetMe())).principal.kind == "application"
        request = Delegate(ada.org_id, ada.id, READ)
        assert await refused(somebody.call(request)) == Forbidden(scope="internal")

    async def test_an_agent_may_do_no_more_than_its_maker(self, ada, join, sign_in, refused):
        await ada.call(CreateRole("maker", "Maker", (*READ, "identity:agents")))
        maker = await join(ada, "maker")

        made = await maker.call(CreateAgent("mine", "Mine"))

        assert made.agent.scopes == READ
        assert await scopes(await sign_in(made)) == READ
        asked = CreateAgent("more", "More", scopes=(*READ, "catalog:write"))
        assert await refused(maker.call(asked)) == Forbidden(scope="catalog:write")
        more = UpdateAgent("mine", scopes=("runtime:run",))
        assert await refused(maker.call(more)) == Forbidden(scope="runtime:run")
        no_agents = CreateAgent("boss", "Boss", scopes=("identity:members",))
        assert await refused(ada.call(no_agents)) == Forbidden(scope="identity:members")

    async def test_an_agent_that_may_do_less_gets_other_tokens(
        self, ada, sarah, sign_in, as_service, anybody, ended
    ):
        before = await sign_in(sarah)

        updated = await ada.call(UpdateAgent("sarah", name="Sally", scopes=("catalog:read",)))

        await ended(before)
        assert (updated.name, updated.scopes) == ("Sally", ("catalog:read",))
        assert await scopes(await sign_in(sarah)) == ("catalog:read",)
        runtime = await as_service("runtime")
        acting = await runtime.call(Delegate(ada.org_id, sarah.agent.id, READ))
        assert await scopes(anybody.using(acting.access_token)) == ("catalog:read",)

    async def test_a_suspended_agent_does_nothing_until_it_is_resumed(
        self, ada, sarah, sign_in, as_service, refused, ended, facts
    ):
        before, runtime = await sign_in(sarah), await as_service("runtime")

        for _ in range(2):
            assert (await ada.call(SuspendAgent("sarah"))).suspended_at is not None

        await ended(before)
        assert await refused(sign_in(sarah)) == WrongCredentials()
        delegate = Delegate(ada.org_id, sarah.agent.id, READ)
        assert await refused(runtime.call(delegate)) == PrincipalNotFound(principal_id=sarah.agent.id)
        for _ in range(2):
            assert (await ada.call(ResumeAgent("sarah"))).suspended_at is None
        assert await scopes(await sign_in(sarah)) == sarah.agent.scopes
        assert await refused(before.call(GetMe())) == Unauthenticated()
        told = [fact for fact, _ in await facts(ada.org_id) if fact in ("agent_suspended", "agent_resumed")]
        assert told == ["agent_suspended", "agent_resumed"]

    async def test_agents_are_suspended_and_given_secrets_by_who_may_and_by_their_own_org(
        self, ada, ben, sarah, join, sign_in, refused
    ):
        viewer, agent = await join(ada, "viewer"), await sign_in(sarah)
        requests = (
            SuspendAgent("sarah"),
            ResumeAgent("sarah"),
            RotateCredential("sarah"),
            ListCredentials("sarah"),
            RevokeCredential("sarah", uuid4()),
            UpdateAgent("sarah", name="X"),
        )
        for request in requests:
            for caller in (viewer, agent):
                assert await refused(caller.call(request)) == Forbidden(scope="identity:agents")
            assert await refused(ben.call(request)) == AgentNotFound(agent="sarah")


class TestCredentials:
    async def test_a_rotated_secret_overlaps_with_the_new_one_and_no_longer(
        self, ada, sarah, sign_in, rows, refused
    ):
        renewed = await ada.call(RotateCredential("sarah", 60))

        assert renewed.client_secret != sarah.client_secret
        for credential in (sarah, renewed):
            assert await sign_in(credential)
        old, new = (await ada.call(ListCredentials("sarah"))).items
        assert (old.expires_at is not None, new.expires_at) == (True, None)
        await rows("update identity.credentials set expires_at = now() where id = $1", old.id)
        assert await refused(sign_in(sarah)) == WrongCredentials()
        assert (await ada.call(ListCredentials("sarah"))).items == (new,)
        last = await ada.call(RotateCredential("sarah", 0))
        assert await refused(sign_in(renewed)) == WrongCredentials()
        assert await sign_in(last)

    async def test_a_secret_that_does_not_overlap_ends_with_the_agents_tokens(
        self, ada, sarah, sign_in, anybody, ended
    ):
        kept = await sign_in(sarah)
        await ada.call(RotateCredential("sarah", 60))
        assert await anybody.using(kept.access_token).call(GetMe())

        last = await ada.call(RotateCredential("sarah", 0))

        await ended(kept)
        assert await sign_in(last)

    async def test_an_overlap_never_makes_an_older_secret_live_longer(self, ada, sarah):
        await ada.call(RotateCredential("sarah", 10))
        first = (await ada.call(ListCredentials("sarah"))).items[0]

        await ada.call(RotateCredential("sarah", 1_000))

        assert (await ada.call(ListCredentials("sarah"))).items[0] == first

    async def test_a_revoked_credential_ends_with_the_agents_tokens(
        self, ada, sarah, sign_in, refused, ended
    ):
        renewed = await ada.call(RotateCredential("sarah"))
        before = await sign_in(sarah)
        old = (await ada.call(ListCredentials("sarah"))).items[0]

        await ada.call(RevokeCredential("sarah", old.id))

        await ended(before)
        assert await refused(sign_in(sarah)) == WrongCredentials()
        assert await sign_in(renewed)
        again = RevokeCredential("sarah", old.id)
        assert await refused(ada.call(again)) == CredentialNotFound(credential_id=old.id)

    async def test_an_agent_has_so_many_credentials_and_no_more(self, ada, sarah, refused, monkeypatch):
        monkeypatch.setattr(credentials, "CREDENTIALS", 2)
        await ada.call(RotateCredential("sarah"))

        assert await refused(ada.call(RotateCredential("sarah"))) == TooManyCredentials(most=2)
        assert (await ada.call(RotateCredential("sarah", 0))).client_secret


class TestUnits:
    async def test_units_are_a_tree_and_listed_by_key(self, ada, ben, refused):
        project = await ada.call(CreateUnit("project", "city", "City"))
        application = await ada.call(CreateUnit("application", "traffic", "Traffic", project.id))
        service = await ada.call(CreateUnit("service", "bus", "Bus", application.id))

        first = await ada.call(ListUnits(None, 2))
        rest = await ada.call(ListUnits(first.next_cursor, 2))
        assert first.items + rest.items == (service, project, application)
        assert (await ada.call(ListUnits(parent_id=project.id))).items == (application,)
        assert (await ada.call(ListUnits(kind="service"))).items == (service,)
        assert (await ben.call(ListUnits())).items == ()
        renamed = await ada.call(RenameUnit(project.id, "Town"))
        assert renamed == msgspec.structs.replace(project, name="Town")

    async def test_what_does_not_fit_is_refused(self, ada, ben, join, refused):
        project = await ada.call(CreateUnit("project", "city", "City"))
        theirs = await ben.call(CreateUnit("project", "city", "City"))
        member = await join(ada, "member")

        taken = CreateUnit("service", "city", "City")
        assert await refused(ada.call(taken)) == UnitKeyTaken(key="city")
        inside = CreateUnit("project", "other", "Other", project.id)
        assert await refused(ada.call(inside)) == UnitMisplaced(kind="project", parent="project")
        stranger = CreateUnit("service", "other", "Other", theirs.id)
        assert await refused(ada.call(stranger)) == UnitNotFound(unit_id=theirs.id)
        placed = CreateAgent("x", "X", unit_id=theirs.id)
        assert await refused(ada.call(placed)) == UnitNotFound(unit_id=theirs.id)
        made = CreateUnit("project", "mine", "Mine")
        assert await refused(member.call(made)) == Forbidden(scope="identity:units")

    async def test_a_unit_that_something_is_in_stays(self, ada, refused):
        project = await ada.call(CreateUnit("project", "city", "City"))
        await ada.call(CreateUnit("service", "bus", "Bus", project.id))
        assert await refused(ada.call(DeleteUnit(project.id))) == UnitInUse(unit_id=project.id)
        other = await ada.call(CreateUnit("project", "town", "Town"))
        await ada.call(CreateAgent("x", "X", unit_id=other.id))
        assert await refused(ada.call(DeleteUnit(other.id))) == UnitInUse(unit_id=other.id)

        await ada.call(DeleteAgent("x"))
        await ada.call(DeleteUnit(other.id))

        assert await refused(ada.call(DeleteUnit(other.id))) == UnitNotFound(unit_id=other.id)


async def test_the_audit_log_tells_who_did_what_and_nothing_secret(ada, sarah, rows):
    renewed = await ada.call(RotateCredential("sarah"))
    await ada.call(SuspendAgent("sarah"))

    told = await rows(
        "select action, actor_id, subject, detail from identity.audit where org_id = $1 order by n",
        ada.org_id,
    )

    mine = [row for row in told if row["action"].startswith(("agent.", "credential."))]
    assert [row["action"] for row in mine] == ["agent.created", "credential.rotated", "agent.suspended"]
    assert {row["actor_id"] for row in mine} == {ada.id}
    assert {row["subject"] for row in mine} == {str(sarah.agent.id)}
    assert not any(s.client_secret in str(told) for s in (sarah, renewed))
