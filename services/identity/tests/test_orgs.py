"""Orgs and their members: roles, who may change them, and what becomes of tokens that tell of an old role."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from polis.proto.identity import (
    ChangeRole,
    CreateAgent,
    CreateKey,
    CreateOrg,
    GetMe,
    InvitationNotFound,
    InviteMember,
    LastOwner,
    LeaveOrg,
    ListAudit,
    ListMembers,
    MemberNotFound,
    OrgNotFound,
    Refresh,
    RemoveMember,
    SignIn,
    SignInKey,
    SignUp,
    WrongCredentials,
)
from polis.proto.problems import Forbidden, StaleCursor
from polis.testing import eventually

PASSWORD = "canary-password"


async def test_an_owner_changes_a_role_and_the_old_tokens_end(ada, join, anybody, facts, ended):
    cem = await join(ada, "member")

    member = await ada.call(ChangeRole(cem.id, "viewer"))

    assert (member.principal_id, member.email, member.role) == (cem.id, cem.email, "viewer")
    assert (await facts(ada.org_id, "member_role_changed"))[-1]["role"] == "viewer"
    await ended(cem)
    renewed = await anybody.call(Refresh(cem.refresh_token))
    assert (renewed.me.role, renewed.session_id != cem.session_id) == ("viewer", True)
    assert await anybody.using(renewed.access_token).call(GetMe()) == renewed.me


async def test_the_same_role_again_changes_nothing(ada, join, facts):
    cem = await join(ada, "member")
    before = await facts(ada.org_id)

    await ada.call(ChangeRole(cem.id, "member"))

    assert await facts(ada.org_id) == before
    assert await cem.call(GetMe()) == cem.me


async def test_a_removed_member_loses_the_org_at_once_and_the_account_stays(
    ada, join, anybody, facts, ended, refused
):
    cem = await join(ada, "admin")
    own = await cem.call(CreateOrg("Own"))

    await ada.call(RemoveMember(cem.id))

    await ended(cem)
    assert await facts(ada.org_id, "member_removed") == [
        {"org_id": str(ada.org_id), "principal_id": str(cem.id)}
    ]
    renewed = await anybody.call(Refresh(cem.refresh_token))
    assert (renewed.me.org_id, renewed.me.role) == (own.id, "owner")
    problem = await refused(anybody.using(renewed.access_token).call(ListMembers(), org=ada.org_id))
    assert problem == Forbidden(scope="org")
    assert await refused(ada.call(RemoveMember(cem.id))) == MemberNotFound(principal_id=cem.id)


@pytest.mark.parametrize("role", ["viewer", "admin"])
async def test_whoever_leaves_an_org_is_gone_as_if_removed(
    ada, join, anybody, as_service, email, facts, ended, refused, role
):
    cem = await join(ada, role)
    own = await cem.call(CreateOrg("Own"))
    if role == "admin":
        key = (await cem.call(CreateKey("ci", ("catalog:read",)))).secret
        invited = await cem.call(InviteMember(email("x")))

    await cem.call(LeaveOrg(ada.org_id))

    await ended(cem)
    assert await facts(ada.org_id, "member_removed") == [
        {"org_id": str(ada.org_id), "principal_id": str(cem.id)}
    ]
    told = (await ada.call(ListAudit())).items[0]
    assert (told.action, told.actor_id, told.subject) == ("member.removed", cem.id, str(cem.id))
    assert [m.principal_id for m in (await ada.call(ListMembers())).items] == [ada.id]
    renewed = await anybody.call(Refresh(cem.refresh_token))
    assert (renewed.me.org_id, renewed.me.role) == (own.id, "owner")
    if role == "admin":
        assert await refused((await as_service("gateway")).call(SignInKey(key))) == WrongCredentials()
        request = SignUp(invited.email, PASSWORD, "X", invitation=invited.token)
        assert await refused(anybody.call(request)) == InvitationNotFound()


async def test_who_asks_again_to_leave_leaves_no_other_org(ada, ben, join, anybody, email, ended, refused):
    """Whose answer was lost finds itself in another org when it comes back with the next token."""
    cem = await join(ada, "member")
    own = await cem.call(CreateOrg("Own"))
    await cem.call(LeaveOrg(ada.org_id), key="leave")
    await ended(cem)
    renewed = await anybody.call(Refresh(cem.refresh_token))
    again = anybody.using(renewed.access_token)

    for org_id in (ada.org_id, ben.org_id, uuid4()):
        assert await refused(again.call(LeaveOrg(org_id), key="leave")) == OrgNotFound(org_id=org_id)

    assert [m.org.id for m in (await again.call(GetMe())).memberships] == [own.id]
    assert [m.principal_id for m in (await ben.call(ListMembers())).items] == [ben.id]


async def test_two_owners_who_leave_at_once_leave_one(ada, join):
    bea = await join(ada, "owner", "Bea")

    results = await asyncio.gather(
        ada.call(LeaveOrg(ada.org_id)), bea.call(LeaveOrg(ada.org_id)), return_exceptions=True
    )

    refusals = [result.problem for result in results if isinstance(result, Exception)]
    assert refusals == [LastOwner()]


async def test_who_is_in_no_org_can_sign_in_and_found_one(ada, join, anybody, ended, refused):
    cem = await join(ada, "member")
    await ada.call(RemoveMember(cem.id))
    await ended(cem)

    session = await anybody.call(SignIn(cem.email, PASSWORD))
    nowhere = anybody.using(session.access_token)

    assert (session.me.role, session.me.scopes, session.me.memberships) == ("", (), ())
    assert await refused(nowhere.call(ListMembers())) == Forbidden(scope="identity:read")
    org = await nowhere.call(CreateOrg("Own"))
    renewed = await anybody.call(Refresh(session.refresh_token))
    assert (renewed.me.org_id, renewed.me.role) == (org.id, "owner")


async def test_members_are_listed_in_pages(ada, join, refused):
    expected = [ada.id, *[(await join(ada, "viewer")).id for _ in range(4)]]

    found, after = [], None
    while True:
        page = await ada.call(ListMembers(after, 2))
        found += [member.principal_id for member in page.items]
        after = page.next_cursor
        if after is None:
            break

    assert found == expected
    assert await refused(ada.call(ListMembers("forged"))) == StaleCursor()


async def test_only_owners_make_and_unmake_owners(ada, join, refused):
    admin, cem = await join(ada, "admin"), await join(ada, "member")
    no = Forbidden(scope="identity:owners")

    assert await refused(admin.call(ChangeRole(cem.id, "owner"))) == no
    assert await refused(admin.call(ChangeRole(admin.id, "owner"))) == no
    assert await refused(admin.call(ChangeRole(ada.id, "member"))) == no
    assert await refused(admin.call(RemoveMember(ada.id))) == no
    assert await refused(admin.call(InviteMember("x@example.org", "owner"))) == no
    assert (await admin.call(ChangeRole(cem.id, "admin"))).role == "admin"
    assert (await ada.call(ChangeRole(cem.id, "owner"))).role == "owner"


@pytest.mark.parametrize("role", ["member", "viewer"])
async def test_members_and_viewers_manage_nobody(ada, join, refused, role):
    cem, other = await join(ada, role), await join(ada, "viewer")
    no = Forbidden(scope="identity:members")

    assert await refused(cem.call(ChangeRole(other.id, "admin"))) == no
    assert await refused(cem.call(ChangeRole(cem.id, "admin"))) == no
    assert await refused(cem.call(RemoveMember(other.id))) == no
    assert await refused(cem.call(InviteMember("x@example.org"))) == no


async def test_the_last_owner_stays(ada, join, refused, facts):
    await join(ada, "admin")
    before = await facts(ada.org_id)

    assert await refused(ada.call(ChangeRole(ada.id, "admin"))) == LastOwner()
    assert await refused(ada.call(RemoveMember(ada.id))) == LastOwner()
    assert await refused(ada.call(LeaveOrg(ada.org_id))) == LastOwner()

    assert await facts(ada.org_id) == before
    assert await ada.call(GetMe()) == ada.me


async def test_two_owners_who_unmake_each_other_leave_one(sign_up, join):
    for _ in range(5):
        ada = await sign_up("Ada")
        bea = await join(ada, "owner", "Bea")

        results = await asyncio.gather(
            ada.call(ChangeRole(bea.id, "member")),
            bea.call(ChangeRole(ada.id, "member")),
            return_exceptions=True,
        )

        refusals = [result.problem for result in results if isinstance(result, Exception)]
        assert refusals == [Forbidden(scope="identity:members")]


async def test_a_token_older_than_a_role_manages_nobody(ada, join, refused, rows):
    """As if the revocation had not reached anybody yet."""
    admin, cem = await join(ada, "admin"), await join(ada, "member")
    await rows("update identity.memberships set role = 'member' where account_id = $1", admin.id)

    assert await refused(admin.call(ChangeRole(cem.id, "admin"))) == Forbidden(scope="identity:members")


async def test_a_sign_in_during_a_change_of_role_has_the_new_role_or_an_ended_token(ada, join, anybody):
    cem = await join(ada, "admin")

    for role in ("member", "admin", "viewer", "admin", "member"):
        sessions = await asyncio.gather(
            ada.call(ChangeRole(cem.id, role)), *(anybody.call(SignIn(cem.email, PASSWORD)) for _ in range(4))
        )
        for session in sessions[1:]:
            caller = anybody.using(session.access_token)

            async def holds(caller=caller, role=role):
                try:
                    return (await caller.call(GetMe())).role == role
                except Exception:  # noqa: BLE001 - refused is right as well
                    return True

            await eventually(holds)


async def test_a_role_change_with_the_same_key_happens_once(ada, join, facts):
    cem = await join(ada, "member")

    first, again = [await ada.call(ChangeRole(cem.id, "viewer"), key=f"k-{cem.id}") for _ in range(2)]

    assert first == again
    assert len(await facts(ada.org_id, "member_role_changed")) == 1


class TestInvitations:
    async def test_an_invited_newcomer_joins_in_the_role_meant(self, ada, anybody, email, facts):
        invited = await ada.call(InviteMember(email("cem").upper(), "admin"))

        session = await anybody.call(SignUp(invited.email, PASSWORD, "Cem", invitation=invited.token))

        assert (session.me.org_id, session.me.role) == (ada.org_id, "admin")
        assert len(session.me.memberships) == 1
        joined = (await facts(ada.org_id, "member_joined"))[-1]
        assert joined == {
            "org_id": str(ada.org_id),
            "principal_id": str(session.me.principal.id),
            "role": "admin",
        }

    async def test_an_invitation_works_once(self, ada, anybody, email, refused):
        invited = await ada.call(InviteMember(email()))
        request = SignUp(invited.email, PASSWORD, "Cem", invitation=invited.token)
        await anybody.call(request)

        other = SignUp(email(), PASSWORD, "Dan", invitation=invited.token)

        assert await refused(anybody.call(other)) == InvitationNotFound()

    async def test_of_two_who_accept_at_once_one_joins(self, ada, ben, anybody, refused, facts):
        from polis.proto.identity import AcceptInvitation

        invited = await ada.call(InviteMember(ben.email))

        results = await asyncio.gather(
            *(ben.call(AcceptInvitation(invited.token)) for _ in range(5)), return_exceptions=True
        )

        assert sum(not isinstance(result, Exception) for result in results) == 1
        assert len(await facts(ada.org_id, "member_joined")) == 2

    async def test_an_invitation_is_for_its_address(self, ada, ben, anybody, email, refused):
        from polis.proto.identity import AcceptInvitation

        invited = await ada.call(InviteMember(email("cem")))

        assert await refused(ben.call(AcceptInvitation(invited.token))) == InvitationNotFound()
        request = SignUp(email("dan"), PASSWORD, "Dan", invitation=invited.token)
        assert await refused(anybody.call(request)) == InvitationNotFound()
        assert await anybody.call(SignUp(invited.email, PASSWORD, "Cem", invitation=invited.token))

    async def test_a_repeated_sign_up_by_invitation_gives_the_same_session(self, ada, anybody, email):
        invited = await ada.call(InviteMember(email("cem")))
        request = SignUp(invited.email, PASSWORD, "Cem", invitation=invited.token)

        first, again = [await anybody.call(request, key=f"invited-{invited.id}") for _ in range(2)]

        assert first == again

    async def test_who_has_an_account_accepts_and_switches(self, ada, ben, anybody, refused):
        from polis.proto.identity import AcceptInvitation, SwitchOrg

        invited = await ada.call(InviteMember(ben.email, "viewer"))

        membership = await ben.call(AcceptInvitation(invited.token), key=f"accept-{invited.id}")
        again = await ben.call(AcceptInvitation(invited.token), key=f"accept-{invited.id}")

        assert (membership.org.id, membership.role) == (ada.org_id, "viewer")
        assert again == membership
        switched = anybody.using((await ben.call(SwitchOrg(ada.org_id))).access_token)
        assert len((await switched.call(ListMembers())).items) == 2
        assert await refused(switched.call(InviteMember("x@example.org"))) == Forbidden(
            scope="identity:members"
        )

    async def test_a_member_who_accepts_keeps_the_role(self, ada, join, anybody):
        from polis.proto.identity import AcceptInvitation

        cem = await join(ada, "member")
        invited = await ada.call(InviteMember(cem.email, "owner"))

        assert (await cem.call(AcceptInvitation(invited.token))).role == "member"
        assert (await cem.call(GetMe())).role == "member"

    async def test_inviting_again_replaces_the_invitation(self, ada, anybody, email, refused):
        old = await ada.call(InviteMember(email("cem"), "admin"))
        new = await ada.call(InviteMember(old.email, "viewer"))

        request = SignUp(old.email, PASSWORD, "Cem", invitation=old.token)
        assert await refused(anybody.call(request)) == InvitationNotFound()
        session = await anybody.call(SignUp(old.email, PASSWORD, "Cem", invitation=new.token))

        assert session.me.role == "viewer"

    async def test_an_expired_invitation_is_unknown(self, ada, anybody, email, refused, rows):
        invited = await ada.call(InviteMember(email("cem")))
        await rows("update identity.invitations set expires_at = now() where id = $1", invited.id)

        request = SignUp(invited.email, PASSWORD, "Cem", invitation=invited.token)

        assert await refused(anybody.call(request)) == InvitationNotFound()

    @pytest.mark.parametrize("change", ["removed", "viewer"])
    async def test_who_may_not_invite_any_more_has_invited_nobody(
        self, ada, join, anybody, email, refused, change
    ):
        """Or an administrator on the way out would leave a door open."""
        admin = await join(ada, "admin")
        invited = await admin.call(InviteMember(email("x"), "admin"))
        await ada.call(RemoveMember(admin.id) if change == "removed" else ChangeRole(admin.id, "viewer"))

        request = SignUp(invited.email, PASSWORD, "X", invitation=invited.token)

        assert await refused(anybody.call(request)) == InvitationNotFound()

    async def test_an_owner_become_admin_has_invited_no_owners(self, ada, join, anybody, email, refused):
        bea = await join(ada, "owner")
        owner = await bea.call(InviteMember(email("o"), "owner"))
        member = await bea.call(InviteMember(email("m"), "member"))
        await ada.call(ChangeRole(bea.id, "admin"))

        request = SignUp(owner.email, PASSWORD, "O", invitation=owner.token)
        assert await refused(anybody.call(request)) == InvitationNotFound()
        assert await anybody.call(SignUp(member.email, PASSWORD, "M", invitation=member.token))


class TestIsolation:
    """Two orgs: neither sees, names or changes anything of the other."""

    async def test_nothing_of_another_org_is_found(self, ada, ben, refused):
        from polis.proto.identity import AgentNotFound, DeleteAgent, GetAgent, ListAgents

        made = await ben.call(CreateAgent("sarah", "Sarah"))

        assert await refused(ada.call(ChangeRole(ben.id, "viewer"))) == MemberNotFound(principal_id=ben.id)
        assert await refused(ada.call(RemoveMember(ben.id))) == MemberNotFound(principal_id=ben.id)
        for agent in ("sarah", str(made.agent.id)):
            assert await refused(ada.call(GetAgent(agent))) == AgentNotFound(agent=agent)
            assert await refused(ada.call(DeleteAgent(agent))) == AgentNotFound(agent=agent)
        assert (await ada.call(ListAgents())).items == ()
        assert [m.principal_id for m in (await ada.call(ListMembers())).items] == [ada.id]
        assert await ben.call(GetAgent("sarah")) == made.agent

    async def test_another_orgs_cursor_does_not_hold(self, ada, ben, join, refused):
        await join(ben, "viewer")
        cursor = (await ben.call(ListMembers(None, 1))).next_cursor

        assert await refused(ada.call(ListMembers(cursor))) == StaleCursor()

    async def test_a_foreign_org_cannot_be_selected(self, ada, ben, refused):
        for org in (ben.org_id, uuid4(), "x", "00000000-0000-0000-0000-000000000001"):
            assert await refused(ada.call(ListMembers(), org=org)) == Forbidden(scope="org")
