"""Signing in with a password: what is told, and what is not."""

from __future__ import annotations

import asyncio
import time
from uuid import uuid4

import pytest

from polis.identity.people import passwords
from polis.proto.identity import CreateOrg, GetMe, OrgNotFound, SignIn, WrongCredentials
from polis.proto.problems import Invalid, Overloaded

PASSWORD = "canary-password"


async def test_a_session_knows_who_and_where(ada, anybody):
    session = await anybody.call(SignIn(ada.email, PASSWORD))

    assert session.me == ada.me
    assert session.session_id != ada.session_id
    assert await anybody.using(session.access_token).call(GetMe()) == session.me


async def test_an_org_can_be_chosen_among_ones_own(ada, ben, anybody, refused):
    other = await ada.call(CreateOrg("Other"))

    session = await anybody.call(SignIn(ada.email, PASSWORD, other.id))

    assert (session.me.org_id, len(session.me.memberships)) == (other.id, 2)
    problem = await refused(anybody.call(SignIn(ada.email, PASSWORD, ben.org_id)))
    assert problem == OrgNotFound(org_id=ben.org_id)


async def test_a_foreign_org_is_told_to_who_has_the_password_only(ada, ben, anybody, refused):
    problem = await refused(anybody.call(SignIn(ada.email, "wrong", ben.org_id)))

    assert problem == WrongCredentials()


@pytest.mark.parametrize("password", ["", "x", PASSWORD + " ", PASSWORD.upper(), "\x00", "x" * 256])
async def test_wrong_unknown_and_suspended_look_the_same(ada, ben, anybody, rows, refused, password):
    await rows("update identity.accounts set suspended_at = now() where id = $1", ben.id)

    attempts = [SignIn(ada.email, password), SignIn(f"{uuid4().hex}@example.org", password)]
    attempts += [SignIn(ben.email, password), SignIn("", password), SignIn("no address", password)]
    problems = [await refused(anybody.call(attempt)) for attempt in attempts]

    assert problems == [WrongCredentials()] * 5


async def test_a_suspended_account_is_refused_with_its_own_password(ben, anybody, rows, refused):
    await rows("update identity.accounts set suspended_at = now() where id = $1", ben.id)

    assert await refused(anybody.call(SignIn(ben.email, PASSWORD))) == WrongCredentials()


async def test_oversize_is_refused_by_the_contract_whoever_is_meant(ada, anybody, refused):
    for address in (ada.email, f"{uuid4().hex}@example.org"):
        assert isinstance(await refused(anybody.call(SignIn(address, "x" * 257))), Invalid)


async def test_the_time_tells_nothing_of_an_account(ada, anybody, refused):
    """The fastest of many interleaved attempts: what a busy machine adds is gone, a missing hash would show as 20 ms."""
    unknown = f"{uuid4().hex}@example.org"
    seconds = {ada.email: [], unknown: []}

    for attempt in range(100):
        for address, measured in seconds.items():
            start = time.perf_counter()
            await refused(anybody.call(SignIn(address, "wrong-password")))
            measured.append(time.perf_counter() - start)
        known, missing = (min(measured) for measured in seconds.values())
        if attempt >= 20 and 0.8 < known / missing < 1.25:
            break

    assert 0.8 < known / missing < 1.25


async def test_a_hash_of_older_parameters_is_renewed_at_the_next_sign_in(ada, anybody, rows):
    import argon2

    weak = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PASSWORD)
    await rows("update identity.passwords set hash = $2 where account_id = $1", ada.id, weak)

    await asyncio.gather(*(anybody.call(SignIn(ada.email, PASSWORD)) for _ in range(4)))

    stored = (await rows("select hash from identity.passwords where account_id = $1", ada.id))[0]["hash"]
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert (await anybody.call(SignIn(ada.email, PASSWORD))).me == ada.me


async def test_a_password_is_the_same_in_every_unicode_spelling(anybody, running, email):
    from polis.proto.identity import SignUp

    address = email()
    await anybody.call(SignUp(address, "Pässword-ﬁnal", "Ada"))

    assert await anybody.call(SignIn(address, "Pa\u0308ssword-final"))


class TestHasher:
    async def test_more_than_the_queue_holds_is_refused_at_once_and_the_rest_served(self):
        hasher = passwords.Hasher(threads=1, queue=2)

        results = await asyncio.gather(*(hasher.hash("x") for _ in range(6)), return_exceptions=True)

        refusals = [result.problem for result in results if isinstance(result, Exception)]
        assert [type(problem) for problem in refusals] == [Overloaded] * 3
        assert all(problem.retry_after_s > 0 for problem in refusals)
        assert await hasher.verify(results[0], "x")
        hasher.close()

    async def test_a_caller_who_goes_makes_room_only_when_the_work_is_done(self):
        hasher = passwords.Hasher(threads=1, queue=1)
        first, second = (asyncio.create_task(hasher.hash("x")) for _ in range(2))
        await asyncio.sleep(0)
        await asyncio.sleep(0)

        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second

        assert (await first).startswith("$argon2id$")
        assert await hasher.verify(await hasher.hash("y"), "y")
        hasher.close()

    async def test_the_event_loop_goes_on_while_passwords_are_hashed(self):
        hasher = passwords.Hasher(threads=2, queue=20)
        hashing = asyncio.gather(*(hasher.hash("x") for _ in range(20)))
        turns = 0

        while not hashing.done():
            await asyncio.sleep(0.001)
            turns += 1

        assert len(await hashing) == 20
        assert turns > 2 * 20
        hasher.close()

    async def test_nothing_fits_no_account(self):
        hasher = passwords.Hasher(threads=1, queue=1)
        assert not await hasher.verify(None, "x")
        hasher.close()
