"""Grants and their explanation: given by who holds the verb, told by events, gone with what they are bound to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from uuid import uuid4

import pytest

from polis.identity.access import grants
from polis.proto.identity import (
    ApproveGrant,
    ChangeRole,
    CheckAccess,
    Conditions,
    CreateAgent,
    CreateKey,
    CreateRole,
    CreateUnit,
    Decision,
    DeleteAgent,
    DeleteRole,
    DeleteUnit,
    ExplainAccess,
    GetStanding,
    GiveGrant,
    GrantNotFound,
    Holder,
    HolderNotFound,
    ListAudit,
    ListGrants,
    NoApprovalAwaited,
    NotApproved,
    NotYoursToApprove,
    Opened,
    PrincipalNotFound,
    RemoveMember,
    SignInKey,
    SuspendAgent,
    TakeGrant,
    TooManyGrants,
    WithdrawApproval,
)
from polis.proto.problems import Forbidden, Invalid

EVERYONE = Holder("everyone")
ASK = ExplainAccess("catalog:read", "graph/secret-plan")


@pytest.fixture
async def cem(ada, join):
    return await join(ada, "member")


def to(person, verb="catalog:read", resource="graph/secret-*", **conditions):
    return GiveGrant(Holder("principal", person.id), verb, resource, Conditions(**conditions))


async def test_a_grant_opens_what_is_private_and_taking_it_closes_it_again(ada, cem, facts):
    assert (await cem.call(ASK)).decision == Decision("refused", "no_grant")

    grant = await ada.call(to(cem))

    explained = await cem.call(ASK)
    assert explained.decision == Decision("allowed", "grant", grant.id)
    assert [(w.grant, w.weight) for w in explained.grants] == [(grant, "counts")]
    assert (explained.role, explained.holds_verb) == ("member", True)
    await ada.call(TakeGrant(grant.id))
    assert (await cem.call(ASK)).decision == Decision("refused", "no_grant")
    told = [(fact, event["grant_id"]) for fact, event in await facts(ada.org_id) if fact.startswith("grant_")]
    assert told == [("grant_given", str(grant.id)), ("grant_taken", str(grant.id))]


async def test_an_explanation_names_what_a_grant_lacks(ada, cem, rows):
    expiring = await ada.call(to(cem, expires_at=datetime.now(UTC) + timedelta(hours=1)))
    await rows("update identity.grants set expires_at = now() - interval '1 s' where id = $1", expiring.id)
    assert (await cem.call(ASK)).decision == Decision("refused", "expired", expiring.id)

    asking = await ada.call(to(cem, approval=True))

    assert (await cem.call(ASK)).decision == Decision("approval", "approval", asking.id)
    restricted = ExplainAccess(ASK.verb, ASK.resource, data_class="restricted")
    assert (await cem.call(restricted)).decision.reason in ("expired", "data_class")
    assert (await cem.call(ExplainAccess("catalog:write", ASK.resource))).decision == Decision(
        "refused", "no_grant"
    )


async def test_a_grant_that_needs_approval_counts_from_it_until_it_is_withdrawn(
    ada, cem, join, facts, refused
):
    admin = await join(ada, "admin")
    grant = await ada.call(to(cem, approval=True))

    approved = await admin.call(ApproveGrant(grant.id))

    explained = await cem.call(ASK)
    assert explained.decision == Decision("allowed", "grant", grant.id)
    assert explained.grants[0].grant == approved
    assert (approved.approved_by, approved.approved_at is not None) == (admin.id, True)
    assert await refused(admin.call(ApproveGrant(grant.id))) == NoApprovalAwaited()
    assert await ada.call(WithdrawApproval(grant.id)) == grant
    assert (await cem.call(ASK)).decision == Decision("approval", "approval", grant.id)
    assert await refused(ada.call(WithdrawApproval(grant.id))) == NotApproved()
    told = [fact for fact, event in await facts(ada.org_id) if event.get("grant_id") == str(grant.id)]
    assert told == ["grant_given", "grant_approved", "approval_withdrawn"]
    log = (await ada.call(ListAudit(limit=200))).items
    recorded = {r.action: r.actor_id for r in log if r.subject == str(grant.id)}
    assert recorded == {
        "grant.given": ada.id,
        "grant.approved": admin.id,
        "grant.approval_withdrawn": ada.id,
    }


async def test_nobody_approves_what_they_gave_or_hold_or_could_not_give(ada, ben, cem, join, refused):
    admin = await join(ada, "admin")
    of_admins, approval = Holder("role", role="admin"), Conditions(approval=True)
    given = await ada.call(to(cem, approval=True))
    of_owners = await ada.call(to(cem, "identity:owners", approval=True))
    for own in (to(admin, approval=True), GiveGrant(of_admins, ASK.verb, ASK.resource, approval)):
        grant = await ada.call(own)
        assert await refused(admin.call(ApproveGrant(grant.id))) == NotYoursToApprove()
    foreign = (await ben.call(to(ben, approval=True))).id

    assert await refused(ada.call(ApproveGrant(given.id))) == NotYoursToApprove()
    assert await refused(admin.call(ApproveGrant(of_owners.id))) == Forbidden(scope="identity:owners")
    assert await refused(cem.call(ApproveGrant(given.id))) == Forbidden(scope="identity:access")
    assert await refused(admin.call(ApproveGrant(foreign))) == GrantNotFound(grant_id=foreign)
    assert (await cem.call(ASK)).decision.outcome == "approval"


async def test_a_key_approves_nothing_for_its_owner(ada, cem, join, as_service, anybody, refused):
    admin = await join(ada, "admin")
    grant = await ada.call(to(cem, approval=True))
    secret = (await admin.call(CreateKey("ci", ("catalog:read", "identity:access")))).secret
    token = await (await as_service("gateway")).call(SignInKey(secret))

    problem = await refused(anybody.using(token.access_token).call(ApproveGrant(grant.id)))

    assert problem == Forbidden(scope="session")


async def test_what_a_key_does_not_hold_is_refused_whatever_its_owner_was_granted(
    ada, cem, as_service, anybody
):
    await ada.call(to(cem, "catalog:write"))
    secret = (await cem.call(CreateKey("ci", ("catalog:read",)))).secret
    token = await (await as_service("gateway")).call(SignInKey(secret))
    question = ExplainAccess("catalog:write", ASK.resource)

    explained = await anybody.using(token.access_token).call(question)

    assert explained.decision == Decision("refused", "scope")
    assert explained.holds_verb is False
    assert (await cem.call(question)).decision.outcome == "allowed"


async def test_a_role_without_the_verb_is_not_widened_by_a_grant(ada, cem):
    await ada.call(to(cem, "catalog:write"))
    await ada.call(ChangeRole(cem.id, "viewer"))

    explained = await ada.call(ExplainAccess("catalog:write", ASK.resource, principal_id=cem.id))

    assert explained.decision == Decision("refused", "scope")


async def test_whoever_manages_access_asks_for_others_and_others_for_themselves(ada, ben, cem, refused):
    asked = ExplainAccess(ASK.verb, ASK.resource, principal_id=cem.id)

    assert (await ada.call(asked)).principal_id == cem.id
    assert (await cem.call(asked)).principal_id == cem.id
    about_ada = ExplainAccess(ASK.verb, ASK.resource, principal_id=ada.id)
    assert await refused(cem.call(about_ada)) == Forbidden(scope="identity:access")
    assert await refused(ben.call(asked)) == PrincipalNotFound(principal_id=cem.id)


async def test_a_unit_and_those_above_it_hold_grants_for_the_agents_in_it(ada):
    project = await ada.call(CreateUnit("project", "city", "City"))
    application = await ada.call(CreateUnit("application", "traffic", "Traffic", project.id))
    inside = (await ada.call(CreateAgent("in", "In", unit_id=application.id))).agent
    outside = (await ada.call(CreateAgent("out", "Out"))).agent

    await ada.call(GiveGrant(Holder("unit", project.id), ASK.verb, ASK.resource))

    for agent, outcome in ((inside, "allowed"), (outside, "refused")):
        asked = ExplainAccess(ASK.verb, ASK.resource, principal_id=agent.id)
        assert (await ada.call(asked)).decision.outcome == outcome


async def test_grants_are_given_by_who_holds_the_verb_to_whom_the_org_has(ada, ben, join, cem, refused):
    admin = await join(ada, "admin")
    assert await refused(cem.call(to(cem))) == Forbidden(scope="identity:access")
    for verb in ("identity:owners", "ledger:pay"):
        assert await refused(admin.call(to(cem, verb))) == Forbidden(scope=verb)
    for holder in (
        Holder("principal", ben.id),
        Holder("principal", uuid4()),
        Holder("unit", cem.id),
        Holder("role", role="nobody"),
    ):
        problem = await refused(ada.call(GiveGrant(holder, ASK.verb, ASK.resource)))
        assert problem == HolderNotFound(holder=holder)
    for holder in (
        Holder("principal"),
        Holder("everyone", cem.id),
        Holder("role", cem.id, "member"),
        Holder("unit", role="member"),
    ):
        assert isinstance(await refused(ada.call(GiveGrant(holder, ASK.verb, ASK.resource))), Invalid)
    past = datetime.now(UTC) - timedelta(seconds=1)
    west = timezone(timedelta(hours=-12))
    for moment in (past, datetime(9999, 12, 31, 23, 59, tzinfo=west)):
        assert isinstance(await refused(ada.call(to(cem, expires_at=moment))), Invalid)


async def test_grants_end_with_whom_or_what_they_are_bound_to(ada, cem, facts):
    agent = (await ada.call(CreateAgent("sarah", "Sarah"))).agent
    unit = await ada.call(CreateUnit("project", "city", "City"))
    await ada.call(CreateRole("auditor", "Auditor", ("catalog:read",)))
    holders = (
        Holder("principal", cem.id),
        Holder("principal", agent.id),
        Holder("unit", unit.id),
        Holder("role", role="auditor"),
        EVERYONE,
    )
    given = [await ada.call(GiveGrant(holder, ASK.verb, ASK.resource)) for holder in holders]

    for request in (RemoveMember(cem.id), DeleteAgent("sarah"), DeleteUnit(unit.id), DeleteRole("auditor")):
        await ada.call(request)

    assert (await ada.call(ListGrants())).items == (given[-1],)
    taken = {event["grant_id"] for event in await facts(ada.org_id, "grant_taken")}
    assert taken == {str(grant.id) for grant in given[:-1]}


async def test_grants_are_listed_by_page_and_holder_and_are_an_orgs_own(ada, ben, cem, refused):
    given = [await ada.call(to(person)) for person in (cem, ada, cem)]

    first = await ada.call(ListGrants(None, 2))
    rest = await ada.call(ListGrants(first.next_cursor, 2))
    assert first.items + rest.items == tuple(given)
    assert (await ada.call(ListGrants(holder_id=cem.id))).items == (given[0], given[2])
    assert (await ben.call(ListGrants())).items == ()
    assert await refused(ben.call(TakeGrant(given[0].id))) == GrantNotFound(grant_id=given[0].id)


async def test_a_holder_has_so_many_grants_and_no_more(ada, cem, refused, monkeypatch):
    monkeypatch.setattr(grants, "MAX_GRANTS", 1)
    await ada.call(to(cem))

    assert await refused(ada.call(to(cem))) == TooManyGrants(most=1)
    assert await ada.call(to(ada))


async def test_a_service_asks_for_anybody_and_a_suspended_principal_is_nobody(ada, cem, as_service, refused):
    runtime = await as_service("runtime")
    agent = (await ada.call(CreateAgent("sarah", "Sarah"))).agent
    grant = await ada.call(GiveGrant(EVERYONE, ASK.verb, ASK.resource))

    def check(principal_id, **more):
        return runtime.call(CheckAccess(ada.org_id, principal_id, ASK.verb, ASK.resource, **more))

    assert await check(agent.id) == await check(cem.id) == Decision("allowed", "grant", grant.id)
    assert await check(cem.id, scopes=("runtime:run",)) == Decision("refused", "scope")
    assert await check(cem.id, visibility="org") == Decision("allowed", "org")
    await ada.call(SuspendAgent("sarah"))
    assert await refused(check(agent.id)) == PrincipalNotFound(principal_id=agent.id)
    request = CheckAccess(ada.org_id, cem.id, ASK.verb, ASK.resource)
    assert await refused(ada.call(request)) == Forbidden(scope="internal")


async def test_a_service_is_told_what_somebody_is_now_who_made_it_and_what_grants_open_to_it(
    ada, cem, as_service, refused
):
    runtime = await as_service("runtime")
    sarah = (await cem.call(CreateAgent("sarah", "Sarah", scopes=("catalog:read",)))).agent
    await ada.call(to(sarah))
    await ada.call(to(sarah, resource="graph/other", approval=True))
    soon = datetime.now(UTC) + timedelta(hours=1)
    of_agents = Holder("role", role="agent")
    await ada.call(GiveGrant(of_agents, ASK.verb, "graph/agents-**", Conditions(expires_at=soon)))

    async def standing(principal):
        return await runtime.call(GetStanding(ada.org_id, principal.id, ASK.verb))

    told = await standing(sarah)
    assert (told.kind, told.role, told.makers) == ("agent", "agent", (cem.id,))
    assert told.scopes == ("catalog:read",)
    assert told.opened == (Opened("graph/secret-*"), Opened("graph/agents-**", soon))
    assert (await standing(cem)).role == "member"
    assert (await standing(cem)).opened == ()
    assert await refused(cem.call(GetStanding(ada.org_id, sarah.id, ASK.verb))) == Forbidden(scope="internal")
    await ada.call(SuspendAgent("sarah"))
    assert await refused(standing(sarah)) == PrincipalNotFound(principal_id=sarah.id)
