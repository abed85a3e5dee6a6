"""Grants open what visibility closes: to whom, for what and as long as they say, wherever somebody looks."""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from msgspec import structs

from polis.bus.jetstream import store
from polis.bus.permissions import ADMIN
from polis.catalog.grants import expression
from polis.proto import Refused
from polis.proto.catalog import (
    CreateResource,
    DownloadArtifact,
    ExportResources,
    GetArtifact,
    GetDraft,
    GetResource,
    GetVersion,
    ListArtifacts,
    ListResources,
    PublishVersion,
    PutDraft,
    ResolveResource,
    ResourceNotFound,
    SearchResources,
)
from polis.proto.identity import (
    Agent,
    AgentCreated,
    AgentDeleted,
    AgentUpdated,
    ApprovalWithdrawn,
    Conditions,
    Grant,
    GrantApproved,
    GrantGiven,
    GrantTaken,
    Holder,
    Unit,
    UnitCreated,
    UnitDeleted,
)
from polis.proto.problems import Forbidden
from polis.service import envelope
from polis.service.access import matches
from polis.testing import eventually
from services.catalog.tests import test_files as files


def grant(org_id, holder, resource, verb="catalog:read", conditions=None):
    return Grant(
        uuid4(), org_id, holder, verb, resource, uuid4(), datetime.now(UTC), conditions or Conditions()
    )


def unit(org_id, parent_id=None):
    named = f"unit-{uuid4().hex[:8]}"
    return Unit(uuid4(), org_id, "service", named, named, parent_id, uuid4(), datetime.now(UTC))


def placed(client, unit_id):
    """The client as identity tells of an agent that is in a unit."""
    named = f"agent-{client.principal_id.hex[:8]}"
    return Agent(
        client.principal_id, client.org_id, named, named, uuid4(), datetime.now(UTC), unit_id=unit_id
    )


@pytest.fixture
def tell(stage):
    async def tell(event):
        subject, headers, payload = envelope.encode(event, uuid4(), datetime.now(UTC))
        bus = await stage.bus(ADMIN)
        await store(bus, subject, payload, headers, msg_id=headers["Nats-Msg-Id"], timeout_s=5)

    return tell


@pytest.fixture
def give(tell, sql):
    async def give(client, resource, holder=None, **more):
        held = holder or Holder("principal", client.principal_id)
        given = grant(client.org_id, held, resource, **more)
        await tell(GrantGiven(given.org_id, given.id, given))
        await eventually(lambda: _handled(sql, given.id))
        return given

    return give


async def _handled(sql, grant_id):
    return await sql("select from catalog.grants where id = $1", grant_id)


@pytest.fixture
async def secret(ada):
    """A private resource of a member, published."""
    owner = ada.member("member")
    made = await owner.call(
        CreateResource(type="policy", key=f"secret-{uuid4().hex}", content={"a": 1}, visibility="private")
    )
    await owner.call(PublishVersion(made.id))
    return made


async def sees(client, resource):
    """In how many ways somebody sees a resource: each of them, or none."""
    ways = [
        resource.id in [r.id for r in (await client.call(ListResources(type="policy", limit=200))).items],
        resource.key in [r.key for r in (await client.call(SearchResources(text=resource.key))).items],
        resource.key in [c.key async for c in client.stream(ExportResources())],
    ]
    for request in (GetResource(resource.id), GetVersion(resource.id, "1"), GetDraft(resource.id)):
        try:
            await client.call(request)
            ways.append(True)
        except Refused as refusal:
            ways.append(refusal.problem != ResourceNotFound(resource=str(resource.id)))
    assert len(set(ways)) == 1, ways
    return ways[0]


async def test_a_grant_opens_a_private_resource_everywhere_and_is_closed_when_it_is_taken(
    ada, secret, give, tell
):
    colleague = ada.member("member")
    assert not await sees(colleague, secret)

    given = await give(colleague, f"policy/{secret.key}")
    await eventually(lambda: sees(colleague, secret))
    assert not await sees(ada.member("member"), secret)

    await tell(GrantTaken(ada.org_id, given.id))

    await eventually(lambda: closed_now(colleague, secret))
    assert not await sees(colleague, secret)


async def sees_now(client, resource):
    try:
        await client.call(GetResource(resource.id))
    except Refused:
        return False
    return True


async def test_to_read_is_not_to_write_but_to_write_is_to_read(ada, secret, give, refused):
    reader, writer = ada.member("member"), ada.member("member")
    await give(reader, "policy/secret-*")
    await give(writer, "policy/**", verb="catalog:write")
    await eventually(lambda: sees_now(writer, secret))
    await eventually(lambda: sees_now(reader, secret))

    change = PutDraft(secret.id, revision=1, content={"a": 2})
    assert await refused(reader.call(change)) == Forbidden(scope="catalog:write")
    assert (await writer.call(change)).revision == 2


async def test_a_role_and_everyone_hold_grants_of_their_own_org_alone(ada, ben, secret, give):
    viewer, member = ada.member("viewer"), ada.member("member")
    await give(viewer, "policy/*", Holder("role", role="viewer"))
    await eventually(lambda: sees_now(viewer, secret))
    assert not await sees_now(member, secret)

    await give(member, "*/*", Holder("everyone"))
    await eventually(lambda: sees_now(member, secret))
    assert not await sees(ben, secret)


async def test_what_has_expired_waits_for_approval_or_is_for_another_thing_opens_nothing(
    ada, secret, give, tell, sql
):
    colleague = ada.member("member")
    past = Conditions(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    await give(colleague, "policy/*", conditions=past)
    await give(colleague, "graph/*")
    waiting = grant(
        ada.org_id,
        Holder("principal", colleague.principal_id),
        "policy/*",
        conditions=Conditions(approval=True),
    )
    await tell(GrantGiven(ada.org_id, waiting.id, waiting))
    await give(colleague, "policy/other")  # told after the one that waits

    assert not await sees(colleague, secret)
    assert await _handled(sql, waiting.id) == []


async def test_a_grant_opens_from_its_approval_on_until_that_is_withdrawn(ada, secret, tell, sql):
    colleague = ada.member("member")
    holder = Holder("principal", colleague.principal_id)
    waiting = grant(ada.org_id, holder, "policy/*", conditions=Conditions(approval=True))
    approved = structs.replace(waiting, approved_by=ada.principal_id, approved_at=datetime.now(UTC))
    await tell(GrantGiven(ada.org_id, waiting.id, waiting))

    await tell(GrantApproved(ada.org_id, waiting.id, approved))
    await eventually(lambda: sees_now(colleague, secret))
    await tell(ApprovalWithdrawn(ada.org_id, waiting.id))
    await eventually(lambda: closed_now(colleague, secret))
    assert await _handled(sql, waiting.id) == []


def test_an_expression_covers_the_names_that_the_pattern_covers():
    chance = random.Random(5)
    for _ in range(4000):
        pattern = "/".join(
            "".join(chance.choices("ab*.-", k=chance.randint(1, 3))) for _ in range(chance.randint(1, 3))
        )
        if chance.random() < 0.3:
            pattern += "/**"
        name = "/".join(
            "".join(chance.choices("ab.-", k=chance.randint(1, 3))) for _ in range(chance.randint(1, 4))
        )
        if "**" in pattern.removesuffix("/**"):
            continue
        assert bool(re.fullmatch(expression([pattern]), name)) == matches(pattern, name), (pattern, name)
    assert expression([]) is None


async def test_resolving_takes_what_a_grant_opens(ada, secret, give, refused):
    colleague = ada.member("member")
    await give(colleague, "policy/*")
    await eventually(lambda: sees_now(colleague, secret))

    problem = await refused(colleague.call(ResolveResource("policy", secret.key)))
    assert problem.type.endswith("not-active")


async def test_a_grant_of_a_unit_opens_to_the_agents_in_it_and_in_its_parts_wherever_they_look(
    ada, secret, give, tell
):
    file = await files.store(ada.member("member"), b"abc", visibility="private")
    inside, below, outside = ada.agent(), ada.agent(), ada.agent()
    project, elsewhere = unit(ada.org_id), unit(ada.org_id)
    part = unit(ada.org_id, project.id)
    for client, where in ((inside, project), (below, part), (outside, elsewhere)):
        await tell(AgentCreated(ada.org_id, client.principal_id, placed(client, where.id)))
    for each in (part, project, elsewhere):
        await tell(UnitCreated(ada.org_id, each.id, each))

    await give(ada, "*/*", Holder("unit", project.id))

    for client in (inside, below):
        await eventually(lambda client=client: sees_now(client, secret))
        assert await sees(client, secret)
        assert await sees_file(client, file)
    for client in (outside, ada.member("member")):
        assert not await sees(client, secret)
        assert not await sees_file(client, file)

    await tell(AgentUpdated(ada.org_id, inside.principal_id, placed(inside, elsewhere.id)))
    await tell(AgentDeleted(ada.org_id, below.principal_id))
    for client in (inside, below):
        await eventually(lambda client=client: closed_now(client, secret))
        assert not await sees(client, secret)
        assert not await sees_file(client, file)


async def test_what_is_told_of_units_that_are_gone_is_forgotten(ada, tell, sql):
    agent, gone = ada.agent(), unit(ada.org_id)
    await tell(UnitCreated(ada.org_id, gone.id, gone))
    await tell(AgentCreated(ada.org_id, agent.principal_id, placed(agent, gone.id)))
    await eventually(lambda: _kept(sql, ada, 2))

    await tell(AgentUpdated(ada.org_id, agent.principal_id, placed(agent, None)))
    await tell(UnitDeleted(ada.org_id, gone.id))

    await eventually(lambda: _kept(sql, ada, 0))


async def _kept(sql, client, count):
    query = """
        select (select count(*) from catalog.units where org_id = $1)
            + (select count(*) from catalog.placements where org_id = $1) as n
    """
    return (await sql(query, client.org_id))[0]["n"] == count


async def closed_now(client, resource):
    return not await sees_now(client, resource)


async def sees_file(client, file):
    """Whether somebody sees a file in every way, or in none."""
    ways = [file.id in [a.id for a in (await client.call(ListArtifacts(limit=200))).items]]
    try:
        ways.append((await client.call(GetArtifact(file.id))).id == file.id)
    except Refused:
        ways.append(False)
    try:
        ways.append(b"".join([part async for part in client.stream(DownloadArtifact(file.id))]) == b"abc")
    except Refused:
        ways.append(False)
    assert len(set(ways)) == 1, ways
    return ways[0]
