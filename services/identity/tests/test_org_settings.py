"""An org's name, what it leaves to keys, and its open invitations."""

from __future__ import annotations

from uuid import uuid4

from polis.proto.identity import (
    CreateAgent,
    CreateKey,
    CreateOrg,
    GetMe,
    GetOrg,
    InvitationNotFound,
    InviteMember,
    LimitKeys,
    ListAudit,
    ListInvitations,
    RenameOrg,
    SignInKey,
    SignUp,
    WithdrawInvitation,
)
from polis.proto.problems import Forbidden


async def test_an_org_is_renamed_by_whoever_manages_it(ada, join, refused, facts):
    cem = await join(ada, "member")

    renamed = await ada.call(RenameOrg("Other"))

    assert renamed.org.name == "Other"
    assert await cem.call(GetOrg()) == renamed
    assert await refused(cem.call(RenameOrg("Mine"))) == Forbidden(scope="identity:access")
    assert [fact["org"]["name"] for fact in await facts(ada.org_id, "org_renamed")] == ["Other"]


async def test_a_name_that_hides_or_turns_text_is_refused_and_one_of_before_is_told(ada, refused, rows):
    for name in ("  ", "\u200b", "Acme\u202ecod.exe", "Ac\x9bme"):
        for request in (CreateOrg(name), RenameOrg(name), CreateAgent("sarah", name)):
            problem = await refused(ada.call(request))
            assert [fault.pointer for fault in problem.faults] == ["/name"]
    await rows("update identity.orgs set name = $2 where org_id = $1", ada.org_id, "Acme\u202e")

    assert (await ada.call(GetOrg())).org.name == "Acme\u202e"
    assert (await ada.call(GetMe())).memberships[0].org.name == "Acme\u202e"
    assert (await ada.call(RenameOrg("می\u200cنویسم"))).org.name == "می\u200cنویسم"


async def test_keys_do_what_the_org_leaves_to_them_until_the_limit_is_lifted(ada, anybody, as_service):
    secret = (await ada.call(CreateKey("ci", ("catalog:read", "identity:read")))).secret
    gateway = await as_service("gateway")

    async def scopes():
        token = await gateway.call(SignInKey(secret))
        return (await anybody.using(token.access_token).call(GetMe())).scopes

    limited = await ada.call(LimitKeys(("catalog:read",)))
    assert limited.key_scopes == ("catalog:read",)
    assert await scopes() == ("catalog:read",)
    await ada.call(LimitKeys(()))
    assert await scopes() == ()
    await ada.call(LimitKeys(None))
    assert await scopes() == ("catalog:read", "identity:read")


async def test_what_is_left_to_keys_is_kept_once_and_sorted(ada):
    limited = await ada.call(LimitKeys(("identity:read", "catalog:read", "identity:read")))

    assert limited.key_scopes == ("catalog:read", "identity:read")
    assert await ada.call(GetOrg()) == limited
    assert (await ada.call(ListAudit())).items[0].detail == {"scopes": "catalog:read identity:read"}


async def test_open_invitations_are_listed_without_their_tokens_and_taken_back(
    ada, ben, join, anybody, refused
):
    made = [await ada.call(InviteMember(f"{name}@example.org")) for name in ("a", "b", "c")]

    first = await ada.call(ListInvitations(None, 2))
    rest = await ada.call(ListInvitations(first.next_cursor, 2))
    assert [i.id for i in first.items + rest.items] == [i.id for i in made]
    await ada.call(WithdrawInvitation(made[0].id))

    problem = await refused(
        anybody.call(SignUp("a@example.org", "long enough", "A", invitation=made[0].token))
    )
    assert problem == InvitationNotFound()
    for stranger, invitation_id in ((ada, made[0].id), (ben, made[1].id), (ada, uuid4())):
        assert await refused(stranger.call(WithdrawInvitation(invitation_id))) == InvitationNotFound()
    cem = await join(ada, "member")
    assert await refused(cem.call(ListInvitations())) == Forbidden(scope="identity:members")
