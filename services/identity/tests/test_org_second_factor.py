"""An org that wants a second factor of those who manage it: who is refused what, from when on, and who may want it."""

from __future__ import annotations

import base64
import time

import pytest

from polis.identity.people import totp
from polis.proto.identity import (
    ConfirmTotp,
    CreateOrg,
    CreateRole,
    CrossOrg,
    EnrolTotp,
    ExplainAccess,
    GetMe,
    GetOrg,
    InviteMember,
    ListAudit,
    ListMembers,
    Refresh,
    RequireSecondFactor,
    SwitchOrg,
)
from polis.proto.problems import Forbidden, SecondFactorMissing
from polis.testing import eventually

LIFT, REQUIRE = RequireSecondFactor(required=False), RequireSecondFactor(required=True)


@pytest.fixture
def renew(anybody):
    """The same person with the tokens of now."""

    async def renew(person, session=None):
        session = await anybody.call(Refresh((session or person.session).refresh_token))
        person.session = session
        return anybody.using(session.access_token)

    return renew


@pytest.fixture
def prove(renew):
    """The same person, who has set up a second factor."""

    async def prove(person, caller=None):
        caller = caller or person
        secret = base64.b32decode((await caller.call(EnrolTotp())).secret)
        await caller.call(ConfirmTotp(totp.code_of(secret, int(time.time()) // totp.STEP_S)))
        return await renew(person)

    return prove


async def test_who_manages_the_org_without_one_is_told_so_and_members_go_on(
    ada, join, prove, renew, ended, refused
):
    await ada.call(CreateRole("auditor", "Auditor", ("identity:audit", "identity:read")))
    admin, auditor, member = [await join(ada, role) for role in ("admin", "auditor", "member")]
    owner = await prove(ada)

    settings = await owner.call(REQUIRE)

    assert settings.second_factor
    await ended(admin, auditor)
    for person in (admin, auditor):
        now = await renew(person)
        assert await refused(now.call(ListMembers())) == SecondFactorMissing()
        me = await now.call(GetMe())
        assert (me.scopes, [m.second_factor for m in me.memberships if m.org.id == ada.org_id]) == (
            (),
            [True],
        )
    assert len((await member.call(ListMembers())).items) == 4

    owner = await renew(ada)

    async def both_are_recorded():
        denied = (await owner.call(ListAudit(action="access.denied"))).items
        lacking = {(r.actor_id, r.detail["lacking"]) for r in denied}
        return lacking == {(admin.id, "second_factor"), (auditor.id, "second_factor")}

    await eventually(both_are_recorded)
    ready = await prove(admin, await renew(admin))
    assert await ready.call(InviteMember("x@example.org"))


async def test_it_is_of_one_org_and_of_no_scope_that_is_asked_for_later(ada, join, prove, renew, refused):
    admin = await join(ada, "admin")
    await (await prove(ada)).call(REQUIRE)
    now = await renew(admin)

    about_ada = ExplainAccess("catalog:read", "graph/x", principal_id=ada.id)
    assert await refused(now.call(about_ada)) == Forbidden(scope="identity:access")
    own = await now.call(CreateOrg("Own"))
    inside = await now.call(SwitchOrg(own.id))
    assert (await now.using(inside.access_token).call(GetOrg())).org == own
    back = await now.call(SwitchOrg(ada.org_id))
    assert await refused(now.using(back.access_token).call(GetOrg())) == SecondFactorMissing()


async def test_an_owner_with_one_requires_it_and_lifts_it_and_both_are_recorded(
    ada, join, prove, renew, refused
):
    admin = await join(ada, "admin")
    assert await refused(ada.call(REQUIRE)) == SecondFactorMissing()
    assert await refused(admin.call(LIFT)) == Forbidden(scope="identity:owners")
    assert not (await ada.call(LIFT)).second_factor
    await (await prove(ada)).call(REQUIRE)
    owner = await renew(ada)

    await owner.call(REQUIRE)
    await owner.call(LIFT)

    assert await (await renew(admin)).call(ListMembers())
    log = (await owner.call(ListAudit(limit=200))).items
    told = [r.action for r in log if r.subject == str(ada.org_id)]
    assert told == ["second_factor.released", "second_factor.required"]


async def test_an_administrator_of_the_mesh_enters_such_an_org_with_one_alone(
    ada, sign_up, prove, rows, refused
):
    root = await sign_up("Root")
    await rows("insert into identity.administrators (account_id, since) values ($1, now())", root.id)
    await (await prove(ada)).call(REQUIRE)
    enter = CrossOrg(ada.org_id, "Ticket 4711 of this org")

    assert await refused(root.call(enter)) == SecondFactorMissing()
    assert await (await prove(root)).call(enter)
