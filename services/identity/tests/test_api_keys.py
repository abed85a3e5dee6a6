"""API keys: what they look like, whom they act for, and that they never do more than key, owner and org allow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polis.identity.access import key_service, keys
from polis.identity.tokens.issue import Bearer
from polis.proto.identity import (
    ROLE_SCOPES,
    ChangeRole,
    CreateKey,
    CreateOrg,
    GetKey,
    GetMe,
    KeyNotFound,
    ListKeys,
    ListMembers,
    RemoveMember,
    RevokeKey,
    RotateKey,
    SignInKey,
    TooManyKeys,
    WrongCredentials,
)
from polis.proto.problems import Forbidden, Invalid

ID = UUID(int=1)
KNOWN = st.sampled_from(sorted(ROLE_SCOPES["owner"]))
ROLES = st.sampled_from(["owner", "admin", "member", "viewer", "own", "gone"])
READ = ("catalog:read", "identity:read")
WORK = ("catalog:read", "catalog:write", "identity:agents", "identity:read")


@pytest.fixture
async def gateway(as_service):
    return await as_service("gateway")


@pytest.fixture
def trade(gateway, anybody):
    """Somebody in whose hands is what a key was traded for."""

    async def trade(secret):
        token = await gateway.call(SignInKey(secret))
        traded = anybody.using(token.access_token)
        traded.access_token, traded.expires_in_s = token.access_token, token.expires_in_s
        return traded

    return trade


def found(scopes, key_scopes):
    """A stored key and what its org leaves to keys."""
    limit = None if key_scopes is None else tuple(key_scopes)
    return keys.Found(ID, ID, ID, b"", None, None, tuple(scopes), ID, None, None, limit)


class TestText:
    @given(st.uuids())
    def test_a_key_names_its_id_and_its_checksum_tells_a_mistyped_one(self, key_id):
        secret = keys.mint(key_id).secret

        assert keys.id_of(secret) == key_id
        assert keys.hint(secret) in secret
        assert len(keys.hint(secret)) == 25
        for at in range(len(secret)):
            assert keys.id_of(secret[:at] + ("a" if secret[at] != "a" else "b") + secret[at + 1 :]) is None

    @given(st.text(max_size=90) | st.from_regex(r"pk_[0-9A-Za-z]{22}_[0-9A-Za-z]{49}", fullmatch=True))
    def test_whatever_is_no_key_names_nothing(self, text):
        assert keys.id_of(text) is None

    def test_a_key_shows_nothing_of_itself_where_it_is_printed(self):
        assert keys.mint(uuid4()).secret not in repr(keys.mint(uuid4()))


class TestRights:
    @given(st.frozensets(KNOWN), st.frozensets(KNOWN), st.none() | st.frozensets(KNOWN), ROLES)
    def test_a_key_never_does_more_than_key_owner_and_org_allow(self, of_key, own, org, role):
        """Whatever the owner's role is at this moment, one of every org or the org's own."""
        bearer = Bearer(ID, "user", "Ada", ID, {ID: role}, None, {ID: own} if role == "own" else {})
        owner = own if role == "own" else ROLE_SCOPES.get(role, frozenset())

        rights = key_service.rights(found(of_key, org), bearer)

        assert rights == of_key & owner & (owner if org is None else org)

    @given(st.frozensets(KNOWN), st.frozensets(KNOWN), st.frozensets(KNOWN))
    def test_a_key_loses_whatever_its_owner_loses_and_gains_nothing_beyond_itself(self, of_key, less, more):
        def rights(own):
            bearer = Bearer(ID, "user", "Ada", ID, {ID: "own"}, None, {ID: own})
            return key_service.rights(found(of_key, None), bearer)

        assert rights(less & more) <= rights(less) <= rights(less | more) <= of_key


async def test_a_key_acts_for_its_owner_with_its_scopes_for_a_minute(ada, trade, facts):
    made = await ada.call(CreateKey("ci", READ))

    traded = await trade(made.secret)
    me = await traded.call(GetMe())

    assert (me.principal.id, me.org_id, me.scopes) == (ada.id, ada.org_id, READ)
    assert traded.expires_in_s == 60
    assert made.secret.startswith(made.key.hint)
    assert [e["key_id"] for e in await facts(ada.org_id, "key_created")] == [str(made.key.id)]


async def test_a_key_is_made_with_scopes_that_its_maker_holds_and_by_somebody_in_person(
    ada, join, trade, refused
):
    cem = await join(ada, "member")
    key = await trade((await ada.call(CreateKey("ci", (*READ, "identity:keys")))).secret)

    assert await refused(cem.call(CreateKey("x", ("identity:members",)))) == Forbidden(
        scope="identity:members"
    )
    assert await refused(key.call(CreateKey("x", READ))) == Forbidden(scope="session")
    assert await refused(key.call(CreateOrg("x"))) == Forbidden(scope="session")
    past = datetime.now(UTC) - timedelta(seconds=1)
    west = timezone(timedelta(hours=-12))
    for moment in (past, datetime(9999, 12, 31, 23, 59, tzinfo=west)):
        assert isinstance(await refused(ada.call(CreateKey("x", READ, moment))), Invalid)


async def test_a_key_loses_what_its_owners_role_loses_and_ends_with_the_membership(
    ada, join, trade, ended, refused
):
    cem = await join(ada, "member")
    secret = (await cem.call(CreateKey("ci", WORK))).secret
    before = await trade(secret)

    await ada.call(ChangeRole(cem.id, "viewer"))

    await ended(before)
    after = await trade(secret)
    assert (await after.call(GetMe())).scopes == READ
    await ada.call(RemoveMember(cem.id))
    await ended(after)
    assert await refused(trade(secret)) == WrongCredentials()


async def test_a_key_of_a_suspended_account_opens_nothing(ada, trade, rows, refused):
    secret = (await ada.call(CreateKey("ci", READ))).secret
    await rows("update identity.accounts set suspended_at = now() where id = $1", ada.id)

    assert await refused(trade(secret)) == WrongCredentials()


async def test_a_key_does_no_more_than_the_org_leaves_to_keys(ada, trade, rows):
    secret = (await ada.call(CreateKey("ci", WORK))).secret
    await rows("update identity.orgs set key_scopes = '{catalog:read}' where org_id = $1", ada.org_id)

    assert (await (await trade(secret)).call(GetMe())).scopes == ("catalog:read",)


async def test_a_rotated_key_has_two_secrets_for_the_overlap(ada, trade, rows, refused):
    first = await ada.call(CreateKey("ci", READ))

    second = await ada.call(RotateKey(first.key.id, 60))
    await rows(
        "update identity.api_keys set previous_until = now() + interval '20 s' where id = $1", first.key.id
    )

    assert second.key.rotated_at is not None
    assert (await trade(first.secret)).expires_in_s <= 20
    assert (await trade(second.secret)).expires_in_s == 60
    assert await trade(first.secret)
    assert await trade(second.secret)
    await rows("update identity.api_keys set previous_until = now() where id = $1", first.key.id)
    assert await refused(trade(first.secret)) == WrongCredentials()
    third = await ada.call(RotateKey(first.key.id, 0))
    assert await refused(trade(second.secret)) == WrongCredentials()
    assert await trade(third.secret)


async def test_a_secret_that_does_not_overlap_ends_with_its_tokens(ada, trade, anybody, ended, refused):
    """Else who found it goes on for the minute that a trade lasts."""
    found = await ada.call(CreateKey("ci", READ))
    kept = await anybody.call(SignInKey(found.secret))
    overlapping = await ada.call(RotateKey(found.key.id, 60))
    assert await anybody.using(kept.access_token).call(GetMe())

    await ada.call(RotateKey(found.key.id, 0))

    await ended(kept)
    assert await refused(trade(overlapping.secret)) == WrongCredentials()


async def test_a_key_rotates_itself_but_no_other(ada, trade, refused):
    scopes = (*READ, "identity:keys")
    mine, other = [await ada.call(CreateKey(name, scopes)) for name in ("mine", "other")]
    key = await trade(mine.secret)

    assert (await key.call(RotateKey(mine.key.id))).secret
    assert await refused(key.call(RotateKey(other.key.id))) == Forbidden(scope="session")


async def test_a_revoked_key_ends_with_its_tokens(ada, trade, ended, refused, facts):
    made = await ada.call(CreateKey("ci", READ))
    traded = await trade(made.secret)

    await ada.call(RevokeKey(made.key.id))

    await ended(traded)
    assert await refused(trade(made.secret)) == WrongCredentials()
    assert await refused(ada.call(GetKey(made.key.id))) == KeyNotFound(key_id=made.key.id)
    assert [e["key_id"] for e in await facts(ada.org_id, "key_revoked")] == [str(made.key.id)]


async def test_an_expired_key_opens_nothing(ada, trade, rows, refused):
    soon = datetime.now(UTC) + timedelta(seconds=20)
    made = await ada.call(CreateKey("ci", READ, soon))

    assert (await trade(made.secret)).expires_in_s <= 20
    await rows("update identity.api_keys set expires_at = now() where id = $1", made.key.id)
    assert await refused(trade(made.secret)) == WrongCredentials()


async def test_a_last_use_is_written_once_a_minute(ada, trade, rows):
    made = await ada.call(CreateKey("ci", READ))
    used = "select last_used_at from identity.api_keys where id = $1"

    await trade(made.secret)
    first = (await rows(used, made.key.id))[0]["last_used_at"]
    await trade(made.secret)
    second = (await rows(used, made.key.id))[0]["last_used_at"]
    await rows(
        "update identity.api_keys set last_used_at = now() - interval '61 s' where id = $1", made.key.id
    )
    await trade(made.secret)
    third = (await rows(used, made.key.id))[0]["last_used_at"]

    assert first == second < third
    assert (await ada.call(GetKey(made.key.id))).last_used_at == third


async def test_wrong_unknown_and_mistyped_keys_look_the_same(ada, ben, trade, refused):
    made = await ada.call(CreateKey("ci", READ))
    attempts = (
        keys.mint(made.key.id).secret,
        keys.mint(uuid4()).secret,
        made.secret[:-1] + ("a" if made.secret[-1] != "a" else "b"),
        "pk_x",
        "pk_" + "z" * 22 + "_" + "0" * 49,
    )

    assert [await refused(trade(attempt)) for attempt in attempts] == [WrongCredentials()] * len(attempts)


async def test_members_see_their_own_keys_and_who_manages_members_sees_and_revokes_all(
    ada, ben, join, refused
):
    cem = await join(ada, "member")
    hers, his = [(await person.call(CreateKey("k", READ))).key for person in (ada, cem)]

    assert (await cem.call(ListKeys())).items == (his,)
    assert (await ada.call(ListKeys())).items == (hers,)
    first = await ada.call(ListKeys(None, 1, everyones=True))
    rest = await ada.call(ListKeys(first.next_cursor, 1, everyones=True))
    assert first.items + rest.items == (hers, his)
    assert await refused(cem.call(ListKeys(everyones=True))) == Forbidden(scope="identity:members")
    for stranger, key in ((cem, hers), (ben, hers), (ben, his)):
        for request in (GetKey(key.id), RotateKey(key.id), RevokeKey(key.id)):
            assert await refused(stranger.call(request)) == KeyNotFound(key_id=key.id)
    assert await refused(ada.call(RotateKey(his.id))) == KeyNotFound(key_id=his.id)
    await ada.call(RevokeKey(his.id))
    assert (await cem.call(ListKeys())).items == ()


async def test_somebody_has_so_many_keys_and_no_more(ada, refused, monkeypatch):
    monkeypatch.setattr(keys, "MAX_KEYS", 2)
    for name in ("one", "two"):
        await ada.call(CreateKey(name, READ))

    assert await refused(ada.call(CreateKey("three", READ))) == TooManyKeys(most=2)


async def test_a_key_made_twice_with_the_same_idempotency_key_is_one(ada, trade):
    first, again = [await ada.call(CreateKey("ci", READ), key=f"k-{ada.id}") for _ in range(2)]

    assert first == again
    assert await trade(again.secret)


async def test_a_key_opens_its_own_org_alone(ada, ben, trade, refused):
    await ada.call(CreateOrg("Other"))
    key = await trade((await ada.call(CreateKey("ci", READ))).secret)

    assert await refused(key.call(ListMembers(), org=ben.org_id)) == Forbidden(scope="org")
    assert isinstance((await key.call(GetMe())).org_id, UUID)
    assert (await key.call(GetMe())).memberships == ()
