"""The first administrator comes by a one-time link, and by nothing else. Each test starts a mesh that has none."""

from __future__ import annotations

import asyncio
import stat

import pytest

from polis.proto.identity import AdministratorLinkUsed, ClaimAdministrator, EmailTaken, GetMe, SignIn, SignUp

PASSWORD = "canary-password"


@pytest.fixture
async def none_yet(rows):
    await rows("delete from identity.administrators")
    await rows("delete from identity.administrator_link")


@pytest.fixture
def link(tmp_path):
    return tmp_path / "link"


def token_in(link):
    address, _, token = link.read_text().strip().partition("#")
    assert address == "https://polis.example/administrator"
    return token


@pytest.fixture
def start(none_yet, serve, link):
    return lambda: serve(admin_link_file=str(link), public_url="https://polis.example/")


async def test_the_link_makes_one_administrator_who_is_signed_in(start, link, anybody, email, refused, rows):
    async with start():
        token = token_in(link)
        request = ClaimAdministrator(token, email("root"), PASSWORD, "Root")

        session = await anybody.call(request)

        assert (await anybody.using(session.access_token).call(GetMe())).role == "owner"
        assert (await anybody.call(SignIn(request.email, PASSWORD))).me == session.me
        assert not link.exists()
        for again in (request, ClaimAdministrator(token, email("other"), PASSWORD, "Other")):
            assert await refused(anybody.call(again)) == AdministratorLinkUsed()
    administrators = await rows("select account_id from identity.administrators")
    assert [row["account_id"] for row in administrators] == [session.me.principal.id]


async def test_the_file_is_its_owners_alone(start, link):
    link.write_text("left over")
    link.chmod(0o644)

    async with start():
        assert stat.S_IMODE(link.stat().st_mode) == 0o600
        assert token_in(link).startswith("pal_")


async def test_a_restart_keeps_a_link_that_holds_and_replaces_a_lost_one(
    start, link, anybody, email, refused
):
    async with start():
        first = token_in(link)
    async with start():
        assert token_in(link) == first
    link.unlink()
    async with start():
        assert token_in(link) != first
        old = ClaimAdministrator(first, email(), PASSWORD, "Root")
        assert await refused(anybody.call(old)) == AdministratorLinkUsed()


async def test_where_there_is_an_administrator_no_link_is_written(start, link, anybody, email):
    async with start():
        await anybody.call(ClaimAdministrator(token_in(link), email(), PASSWORD, "Root"))
    link.write_text("left over")

    async with start():
        assert not link.exists()


async def test_of_two_who_claim_at_once_one_is_administrator(start, link, anybody, email, rows):
    async with start():
        token = token_in(link)
        results = await asyncio.gather(
            *(anybody.call(ClaimAdministrator(token, email(), PASSWORD, "Root")) for _ in range(4)),
            return_exceptions=True,
        )

    refusals = [result.problem for result in results if isinstance(result, Exception)]
    assert refusals == [AdministratorLinkUsed()] * 3
    assert len(await rows("select from identity.administrators")) == 1


async def test_a_taken_address_does_not_use_the_link_up(start, link, anybody, email, refused):
    async with start():
        address = email("ada")
        await anybody.call(SignUp(address, PASSWORD, "Ada"))

        problem = await refused(anybody.call(ClaimAdministrator(token_in(link), address, PASSWORD, "Ada")))

        assert problem == EmailTaken(email=address)
        assert await anybody.call(ClaimAdministrator(token_in(link), email("root"), PASSWORD, "Root"))


@pytest.mark.parametrize("token", ["x", "pal_" + "A" * 43, "pal_\u0000"])
async def test_a_guessed_token_is_refused_before_any_work(start, anybody, email, refused, token):
    async with start():
        request = ClaimAdministrator(token, email(), PASSWORD, "Root")
        assert await refused(anybody.call(request)) == AdministratorLinkUsed()
