"""What administrators of the mesh may do, and nobody else: accounts, other orgs for a reason, undelivered mails."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import msgspec
import pytest

from polis.proto.identity import (
    AccountNotFound,
    AppointAdministrator,
    CreateKey,
    CreateSecret,
    CrossOrg,
    Delegate,
    DismissAdministrator,
    ForgotPassword,
    GetMe,
    LastAdministrator,
    ListAccounts,
    ListAudit,
    ListMails,
    ListMembers,
    ListSessions,
    OrgNotFound,
    OwnAccount,
    PrincipalNotFound,
    Refresh,
    RefreshRefused,
    ResumeAccount,
    SignIn,
    SignInKey,
    SignOut,
    SuspendAccount,
    SwitchOrg,
    VerifyAudit,
    WrongCredentials,
)
from polis.proto.problems import Forbidden, StepUpRequired
from polis.testing import eventually

PASSWORD, REASON = "canary-password", "Ticket 4711 of this org"


@pytest.fixture
async def root(sign_up, rows):
    """An administrator of the mesh, signed in."""
    root = await sign_up("Root")
    await rows("insert into identity.administrators (account_id, since) values ($1, now())", root.id)
    return root


@pytest.fixture
def logged(rows):
    """What the audit log of an org says; the mesh's without one."""

    async def logged(org_id=None, action=None):
        found = await rows(
            "select action, actor_id, subject, detail from identity.audit where org_id = $1 order by n",
            org_id or "00000000-0000-0000-0000-000000000001",
        )
        return [row for row in found if action in (None, row["action"])]

    return logged


class TestOtherOrgs:
    async def test_a_reason_opens_any_org_and_stands_in_its_log(self, root, ada, anybody, logged):
        token = await root.call(CrossOrg(ada.org_id, REASON))

        inside = anybody.using(token.access_token)
        me = await inside.call(GetMe())
        assert (me.principal.id, me.org_id, me.role) == (root.id, ada.org_id, "administrator")
        assert [m.principal_id for m in (await inside.call(ListMembers())).items] == [ada.id]
        [entered] = await logged(ada.org_id, "org.entered")
        assert entered["actor_id"] == root.id
        assert msgspec.json.decode(entered["detail"])["reason"] == REASON

    async def test_what_is_read_of_its_log_stands_in_it_too(self, root, ada, anybody, logged):
        token = await root.call(CrossOrg(ada.org_id, REASON))
        inside = anybody.using(token.access_token)

        seen = await inside.call(ListAudit(limit=1))
        await inside.call(ListAudit(seen.next_cursor, 1))
        assert (await inside.call(VerifyAudit())).broken is None
        await ada.call(ListAudit())

        done = [(record["action"], record["actor_id"]) for record in await logged(ada.org_id)]
        by_root = [action for action, by in done if by == root.id]
        assert by_root == ["org.entered", "audit.read", "audit.verified"]
        assert ("audit.read", ada.id) not in done

    @pytest.mark.parametrize("blank", [" " * 10, "\N{NO-BREAK SPACE}\u200b" * 5, "why\u202ethen it is so"])
    async def test_what_shows_nothing_is_no_reason(self, root, ada, refused, blank):
        problem = await refused(root.call(CrossOrg(ada.org_id, blank)))

        assert [fault.pointer for fault in problem.faults] == ["/reason"]

    async def test_it_ends_with_the_session(self, root, ada, anybody, ended):
        token = await root.call(CrossOrg(ada.org_id, REASON))

        await root.call(SignOut())

        await ended(root, token)

    async def test_it_opens_that_org_alone_and_no_renewal_keeps_it(self, root, ada, ben, anybody, refused):
        token = await root.call(CrossOrg(ada.org_id, REASON))
        inside = anybody.using(token.access_token)

        assert await refused(inside.call(ListMembers(), org=ben.org_id)) == Forbidden(scope="org")
        assert await refused(inside.call(SwitchOrg(ada.org_id))) == OrgNotFound(org_id=ada.org_id)
        assert (await anybody.call(Refresh(root.refresh_token))).me.org_id == root.org_id

    @pytest.mark.parametrize(
        "ones_own",
        [
            CreateKey("laptop", ("identity:read",)),
            CreateSecret("own", "canary", ("runtime",), "personal"),
            CreateSecret("own", "canary", ("runtime",), "sealed", "long enough"),
        ],
    )
    async def test_nothing_of_ones_own_is_kept_there_since_it_would_open_nothing(
        self, root, ada, anybody, refused, ones_own
    ):
        token = await root.call(CrossOrg(ada.org_id, REASON))
        inside = anybody.using(token.access_token)

        assert await refused(inside.call(ones_own)) == Forbidden(scope="member")
        assert await inside.call(CreateSecret("common", "canary", ("runtime",)))

    async def test_an_org_that_is_none_is_told(self, root, refused):
        nowhere = uuid4()

        assert await refused(root.call(CrossOrg(nowhere, REASON))) == OrgNotFound(org_id=nowhere)

    async def test_an_old_proof_is_not_enough(self, root, ada, anybody, rows, refused):
        await rows(
            "update identity.sessions set proved_at = now() - interval '1 hour' where sid = $1",
            root.session_id,
        )
        old = anybody.using((await anybody.call(Refresh(root.refresh_token))).access_token)

        assert await refused(old.call(CrossOrg(ada.org_id, REASON))) == StepUpRequired(max_age_s=300)


class TestAccounts:
    async def test_they_are_listed_newest_first_and_found_by_address(self, root, ada, ben):
        newest = (await root.call(ListAccounts(limit=2))).items
        assert len(newest) == 2
        assert newest[0].id > newest[1].id

        found = (await root.call(ListAccounts(email=f" {ada.email.upper()}"))).items
        assert [(a.id, a.email, a.suspended_at) for a in found] == [(ada.id, ada.email, None)]
        assert (await root.call(ListAccounts(email="no address"))).items == ()

    async def test_suspending_ends_all_that_acts_for_it(self, root, ada, anybody, as_service, ended, refused):
        other = await anybody.call(SignIn(ada.email, PASSWORD))
        runtime = await as_service("runtime")
        acting = await runtime.call(Delegate(ada.org_id, ada.id, ("catalog:read",)))
        key = (await ada.call(CreateKey("laptop", scopes=("identity:read",)))).secret
        by_key = await anybody.call(SignInKey(key))

        suspended = await root.call(SuspendAccount(ada.id, REASON))

        assert suspended.suspended_at is not None
        await ended(ada, other, acting, by_key)
        for token in (ada.refresh_token, other.refresh_token):
            assert await refused(anybody.call(Refresh(token))) == RefreshRefused()
        assert await refused(anybody.call(SignIn(ada.email, PASSWORD))) == WrongCredentials()
        assert await refused(
            runtime.call(Delegate(ada.org_id, ada.id, ("catalog:read",)))
        ) == PrincipalNotFound(principal_id=ada.id)
        assert await refused(anybody.call(SignInKey(key)))

    async def test_resuming_lets_it_sign_in_again_and_brings_no_session_back(
        self, root, ada, anybody, refused
    ):
        first = await root.call(SuspendAccount(ada.id, REASON))
        assert await root.call(SuspendAccount(ada.id, REASON)) == first

        assert (await root.call(ResumeAccount(ada.id, REASON))).suspended_at is None

        session = await anybody.call(SignIn(ada.email, PASSWORD))
        assert session.me == ada.me
        assert len((await anybody.using(session.access_token).call(ListSessions())).items) == 1

    async def test_it_stands_in_the_log_of_the_mesh(self, root, ada, logged):
        await root.call(SuspendAccount(ada.id, REASON))
        await root.call(ResumeAccount(ada.id, REASON))
        await root.call(ListAccounts())

        told = [row["action"] for row in await logged() if row["actor_id"] == root.id]
        assert told == ["account.suspended", "account.resumed", "accounts.read"]

    async def test_nobody_suspends_themselves_or_nobody(self, root, refused):
        assert await refused(root.call(SuspendAccount(root.id, REASON))) == OwnAccount()
        nobody = uuid4()
        assert await refused(root.call(SuspendAccount(nobody, REASON))) == AccountNotFound(account_id=nobody)
        assert await refused(root.call(ResumeAccount(nobody, REASON))) == AccountNotFound(account_id=nobody)


class TestAppointing:
    async def test_one_who_is_appointed_may_what_the_others_may_until_dismissed(
        self, root, ada, anybody, ended, refused, logged
    ):
        appointed = await root.call(AppointAdministrator(ada.id, REASON))
        entered = await ada.call(CrossOrg(root.org_id, REASON))

        assert (appointed.id, appointed.administrator) == (ada.id, True)
        await root.call(DismissAdministrator(ada.id))

        await ended(ada, entered)
        again = anybody.using((await anybody.call(SignIn(ada.email, PASSWORD))).access_token)
        assert await refused(again.call(ListAccounts())) == Forbidden(scope="administrator")
        told = [row["action"] for row in await logged() if row["actor_id"] == root.id]
        assert told == ["administrator.appointed", "administrator.dismissed"]

    async def test_appointing_twice_is_the_same(self, root, ada):
        first = await root.call(AppointAdministrator(ada.id, REASON))

        assert await root.call(AppointAdministrator(ada.id, REASON)) == first

    async def test_of_two_who_dismiss_each_other_one_is_left(self, root, ada, rows):
        await root.call(AppointAdministrator(ada.id, REASON))
        await rows("delete from identity.administrators where account_id <> all($1)", [root.id, ada.id])

        await asyncio.gather(
            root.call(DismissAdministrator(ada.id)),
            ada.call(DismissAdministrator(root.id)),
            return_exceptions=True,
        )

        assert len(await rows("select from identity.administrators")) == 1

    async def test_the_last_active_one_stays(self, root, ada, rows, refused):
        await rows("delete from identity.administrators where account_id <> $1", root.id)
        await root.call(AppointAdministrator(ada.id, REASON))
        await root.call(SuspendAccount(ada.id, REASON))

        assert await refused(root.call(DismissAdministrator(root.id))) == LastAdministrator()

    async def test_nobody_is_not_appointed_and_none_is_not_dismissed(self, root, ada, refused):
        nobody = uuid4()
        await root.call(SuspendAccount(ada.id, REASON))
        for account_id in (nobody, ada.id):
            problem = await refused(root.call(AppointAdministrator(account_id, REASON)))
            assert problem == AccountNotFound(account_id=account_id)
            problem = await refused(root.call(DismissAdministrator(account_id)))
            assert problem == AccountNotFound(account_id=account_id)


class TestMails:
    async def test_a_development_mesh_shows_them(self, root, anybody, logged):
        await anybody.call(ForgotPassword(root.email))

        async def shown():
            return [mail for mail in (await root.call(ListMails())).items if mail.to == root.email]

        [mail] = await eventually(shown)
        assert "reset-password#ppr_" in mail.text
        assert await logged(None, "mails.read")


@pytest.mark.parametrize(
    "request_",
    [
        CrossOrg(uuid4(), REASON),
        ListAccounts(),
        SuspendAccount(uuid4(), REASON),
        ResumeAccount(uuid4(), REASON),
        AppointAdministrator(uuid4(), REASON),
        DismissAdministrator(uuid4()),
        ListMails(),
    ],
)
async def test_nobody_else_may(ada, refused, request_):
    assert await refused(ada.call(request_)) == Forbidden(scope="administrator")
