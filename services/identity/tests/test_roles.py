"""Roles of an org's own: nobody gives more than it has, and what a role loses its members lose at once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from polis.identity.config import Config
from polis.identity.people.accounts import Account
from polis.identity.people.sessions import Session
from polis.identity.tenancy import roles
from polis.identity.tokens import issue
from polis.identity.tokens.issue import Issuer
from polis.proto import Refused
from polis.proto.identity import (
    ROLE_SCOPES,
    AcceptInvitation,
    ChangeRole,
    CreateAgent,
    CreateKey,
    CreateRole,
    Delegate,
    DeleteRole,
    GetMe,
    InviteMember,
    ListInvitations,
    ListMembers,
    ListRoles,
    Membership,
    Org,
    Refresh,
    RemoveMember,
    RoleInUse,
    RoleNotFound,
    RoleTaken,
    SignInKey,
    SwitchOrg,
    TooManyRoles,
    UpdateRole,
    WithdrawInvitation,
)
from polis.proto.problems import Forbidden
from polis.service import Secret
from polis.service.tokens import MAX_BYTES, SigningKey
from polis.testing import eventually

AUDITOR = ("catalog:read", "identity:read")
HR = (*sorted(ROLE_SCOPES["viewer"]), "identity:members")


@pytest.fixture
async def auditor(ada):
    return await ada.call(CreateRole("auditor", "Auditor", AUDITOR))


async def scopes(person):
    return (await person.call(GetMe())).scopes


async def test_a_member_may_do_what_its_role_says(ada, auditor, join, refused):
    cem = await join(ada, "auditor")

    assert cem.session.me.role == "auditor"
    assert cem.session.me.scopes == await scopes(cem) == AUDITOR
    assert (await cem.call(ListMembers())).items
    assert await refused(cem.call(CreateAgent("x", "X"))) == Forbidden(scope="identity:agents")
    assert (await cem.call(GetMe())).memberships[0].scopes == AUDITOR


async def test_a_role_of_one_org_gives_nothing_in_another(ada, ben, auditor, email, refused):
    await ben.call(CreateRole("auditor", "Auditor", ("runtime:read",)))
    invited = await ben.call(InviteMember(ada.email, "auditor"))
    await ada.call(AcceptInvitation(invited.token))
    token = await ada.call(SwitchOrg(ben.org_id))
    there = ada.using(token.access_token)

    assert await scopes(there) == ("runtime:read",)
    assert await refused(there.call(ListMembers())) == Forbidden(scope="identity:read")
    assert (await there.call(ListMembers(), org=ada.org_id)).items


async def test_what_a_role_loses_its_members_lose_with_their_tokens_and_keys(
    ada, join, as_service, anybody, ended
):
    work = (*AUDITOR, "catalog:write", "identity:keys")
    await ada.call(CreateRole("editor", "Editor", work))
    cem = await join(ada, "editor")
    secret = (await cem.call(CreateKey("ci", ("catalog:read", "catalog:write")))).secret
    gateway, runtime = await as_service("gateway"), await as_service("runtime")
    keyed = await gateway.call(SignInKey(secret))
    acting = await runtime.call(Delegate(ada.org_id, cem.id, ("catalog:read", "catalog:write")))

    await ada.call(UpdateRole("editor", scopes=AUDITOR))

    await ended(cem, keyed, acting)
    renewed = await anybody.call(Refresh(cem.refresh_token))
    assert renewed.me.scopes == AUDITOR
    keyed = await gateway.call(SignInKey(secret))
    assert await scopes(anybody.using(keyed.access_token)) == ("catalog:read",)
    acting = await runtime.call(Delegate(ada.org_id, cem.id, ("catalog:read", "catalog:write")))
    assert await scopes(anybody.using(acting.access_token)) == ("catalog:read",)


async def test_nobody_makes_or_gives_a_role_that_may_do_more(ada, join, refused):
    admin = await join(ada, "admin")
    for scope in ("identity:owners", "identity:limits"):
        assert await refused(admin.call(CreateRole("boss", "Boss", (scope,)))) == Forbidden(scope=scope)
        assert await refused(ada.call(CreateRole("boss", "Boss", (scope,)))) == Forbidden(scope=scope)
    assert await refused(ada.call(CreateRole("x", "X", ("ledger:pay",)))) == Forbidden(scope="ledger:pay")
    await ada.call(CreateRole("hr", "HR", HR))
    hr = await join(ada, "hr")

    assert await refused(hr.call(InviteMember("x@example.org", "member"))) == Forbidden(scope="catalog:write")
    assert await refused(hr.call(ChangeRole(hr.id, "admin"))) == Forbidden(scope="catalog:write")
    assert await refused(hr.call(RemoveMember(admin.id))) == Forbidden(scope="catalog:write")
    assert (await hr.call(InviteMember("x@example.org", "viewer"))).role == "viewer"
    assert (await hr.call(InviteMember("y@example.org", "hr"))).role == "hr"


async def test_what_a_role_had_invited_to_ends_with_what_it_loses(ada, join):
    await ada.call(CreateRole("hr", "HR", HR))
    hr = await join(ada, "hr")
    await hr.call(InviteMember("x@example.org", "viewer"))

    await ada.call(UpdateRole("hr", scopes=AUDITOR))

    assert (await ada.call(ListInvitations())).items == ()


async def test_a_role_that_somebody_has_or_is_invited_to_stays(ada, auditor, join, refused, facts):
    invited = await ada.call(InviteMember("x@example.org", "auditor"))
    assert await refused(ada.call(DeleteRole("auditor"))) == RoleInUse(role="auditor")
    assert [i.id for i in (await ada.call(ListInvitations())).items] == [invited.id]
    await ada.call(WithdrawInvitation(invited.id))
    cem = await join(ada, "auditor")
    assert await refused(ada.call(DeleteRole("auditor"))) == RoleInUse(role="auditor")
    await ada.call(ChangeRole(cem.id, "viewer"))

    await ada.call(DeleteRole("auditor"))

    assert await refused(ada.call(ChangeRole(cem.id, "auditor"))) == RoleNotFound(role="auditor")
    assert [fact["scopes"] for fact in await facts(ada.org_id, "role_changed")] == [list(AUDITOR), []]


async def test_of_a_role_given_and_deleted_at_once_one_happens(ada, join, refused):
    cem = await join(ada, "viewer")
    for n in range(5):
        await ada.call(CreateRole(f"r{n}", "R", AUDITOR))

        outcomes = await asyncio.gather(
            ada.call(ChangeRole(cem.id, f"r{n}")), ada.call(DeleteRole(f"r{n}")), return_exceptions=True
        )

        assert sum(isinstance(outcome, Exception) for outcome in outcomes) == 1


async def test_roles_of_every_org_are_listed_first_and_cannot_be_taken_or_changed(ada, auditor, refused):
    listed = (await ada.call(ListRoles())).items

    assert [role.key for role in listed] == ["owner", "admin", "member", "viewer", "auditor"]
    assert listed[-1] == auditor
    for key in ("owner", "viewer", "agent", "service", "administrator", "auditor"):
        assert await refused(ada.call(CreateRole(key, "X", AUDITOR))) == RoleTaken(role=key)
    for key in ("owner", "agent", "nothing"):
        assert await refused(ada.call(UpdateRole(key, name="X"))) == RoleNotFound(role=key)
    for key in ("agent", "administrator", "nothing"):
        assert await refused(ada.call(InviteMember("x@example.org", key))) == RoleNotFound(role=key)


async def test_an_org_has_so_many_roles_of_its_own_and_no_more(ada, auditor, refused, monkeypatch):
    monkeypatch.setattr(roles, "MAX_ROLES", 1)

    assert await refused(ada.call(CreateRole("two", "Two", AUDITOR))) == TooManyRoles(most=1)


def test_a_token_of_somebody_in_many_orgs_with_roles_of_their_own_is_not_too_long():
    """What does not fit is left to SwitchOrg: the present org first, then the newest."""
    at = datetime(2030, 1, 1, tzinfo=UTC)
    held = tuple(sorted(ROLE_SCOPES["owner"] - roles.FOR_OWNERS))
    memberships = [
        Membership(Org(uuid4(), "O", at), *(("k" * 63, held) if n % 2 else ("member",))) for n in range(60)
    ]
    account = Account(uuid4(), "ada@example.org", "\N{GRINNING FACE}" * 120)
    key = SigningKey("k" * 12, Ed25519PrivateKey.generate())
    issuer = Issuer(Config(mesh_secret=Secret("x" * 32)), SimpleNamespace(signing=lambda at: key))

    for present in (memberships[0], memberships[1], memberships[-1]):
        session = Session(uuid4(), account.id, present.org.id, uuid4(), at, at, ("pwd", "otp"))
        bearer = issue.user(account, memberships, session)
        assert len(issuer.access(bearer, uuid4(), at).access_token) < MAX_BYTES
        assert present.org.id in bearer.roles
        assert 20 <= len(bearer.roles) <= issue.MAX_ORGS
        assert bearer.rights == (frozenset(present.scopes) or ROLE_SCOPES["member"])


async def test_who_joins_while_a_role_loses_rights_does_not_keep_them(ada, join, anybody):
    await ada.call(CreateRole("editor", "Editor", (*AUDITOR, "catalog:write")))

    cem, _ = await asyncio.gather(join(ada, "editor"), ada.call(UpdateRole("editor", scopes=AUDITOR)))

    async def narrowed():
        try:
            return await scopes(cem) == AUDITOR
        except Refused:
            return (await anybody.call(Refresh(cem.refresh_token))).me.scopes == AUDITOR

    await eventually(narrowed)
