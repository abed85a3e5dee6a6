"""New accounts: what they get, who may make one, and that a repeated call is one."""

from __future__ import annotations

import asyncio

import pytest

from polis.proto.identity import (
    EmailTaken,
    GetMe,
    Refresh,
    SignIn,
    SignUp,
)
from polis.proto.problems import Invalid, KeyReused

PASSWORD = "canary-password"


async def test_a_new_user_owns_an_org_and_is_signed_in(anybody, running, email, facts):
    address = email()

    session = await anybody.call(SignUp(address, PASSWORD, "Ada", org_name="Engines"))

    me = await anybody.using(session.access_token).call(GetMe())
    assert me == session.me
    assert (me.principal.name, me.principal.kind, me.role) == ("Ada", "user", "owner")
    assert [(m.org.id, m.org.name, m.role) for m in me.memberships] == [(me.org_id, "Engines", "owner")]
    assert "identity:owners" in me.scopes
    assert [fact for fact, _ in await facts(me.org_id)] == ["org_created", "member_joined"]


async def test_an_org_without_a_name_has_its_owners(sign_up):
    grace = await sign_up("Grace")

    assert grace.me.memberships[0].org.name == "Grace"


async def test_an_address_is_one_account_however_it_is_typed(anybody, running, email, refused):
    address = email("ada")
    await anybody.call(SignUp(address, PASSWORD, "Ada"))

    for spelling in (address.upper(), address.replace("a", "\uff41", 1)):
        assert await refused(anybody.call(SignUp(spelling, PASSWORD, "Ada"))) == EmailTaken(email=address)
        assert (await anybody.call(SignIn(f"  {spelling}\t", PASSWORD))).me.principal.name == "Ada"


@pytest.mark.parametrize(
    "address", ["ada\uff20x@example.org", "ada\u00a0b\u3000@example.org", "a" * 235 + "\ufdfa@b.example"]
)
async def test_what_normalisation_makes_no_address_of_is_refused(anybody, running, refused, address):
    problem = await refused(anybody.call(SignUp(address, PASSWORD, "Ada")))

    assert isinstance(problem, Invalid)
    assert [fault.pointer for fault in problem.faults] == ["/email"]


async def test_the_same_key_gives_the_same_session_and_one_account(anybody, running, email, rows, facts):
    request = SignUp(email(), PASSWORD, "Ada")

    first, again = [await anybody.call(request, key="key-1-" + request.email) for _ in range(2)]

    assert first == again
    assert len(await rows("select from identity.accounts where email = $1", request.email)) == 1
    assert len(await facts(first.me.org_id)) == 2
    assert (await anybody.call(Refresh(again.refresh_token))).me == first.me


async def test_the_same_key_with_another_password_is_no_repetition(anybody, running, email, refused):
    address = email()
    await anybody.call(SignUp(address, PASSWORD, "Ada"), key="key-2-" + address)

    problem = await refused(anybody.call(SignUp(address, PASSWORD + "!", "Ada"), key="key-2-" + address))

    assert problem in (KeyReused(), EmailTaken(email=address))


async def test_of_concurrent_sign_ups_with_one_address_one_succeeds(anybody, running, email, rows):
    request = SignUp(email(), PASSWORD, "Ada")

    results = await asyncio.gather(*(anybody.call(request) for _ in range(8)), return_exceptions=True)

    refusals = [r.problem for r in results if isinstance(r, Exception)]
    assert refusals == [EmailTaken(email=request.email)] * 7
    assert len(await rows("select from identity.accounts where email = $1", request.email)) == 1


async def test_a_refused_sign_up_leaves_nothing_behind(anybody, running, email, refused, rows):
    address = email()
    before = (await rows("select count(*) as n from identity.orgs"))[0]["n"]

    await refused(anybody.call(SignUp(address, PASSWORD, "Ada", invitation="pin_unknown")))

    assert await rows("select from identity.accounts where email = $1", address) == []
    assert (await rows("select count(*) as n from identity.orgs"))[0]["n"] == before
