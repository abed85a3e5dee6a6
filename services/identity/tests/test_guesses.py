"""Guessing is slow: per account and per address, and a full stop tells nothing of who exists."""

from __future__ import annotations

import asyncio
import base64
import time
from uuid import uuid4

import pytest

from polis.identity.people import totp
from polis.identity.people.guesses import _site
from polis.proto.identity import (
    ConfirmTotp,
    EnrolTotp,
    ForgotPassword,
    ResetPassword,
    SignIn,
    SignInSecondFactor,
    SignUp,
    WrongCredentials,
)
from polis.proto.problems import Overloaded
from polis.service.call import client_headers

PASSWORD = "canary-password"


@pytest.fixture(scope="module")
async def slow(serve):
    """A service that lets three passwords be guessed an account and six an address."""
    slow = {"sign_in_every_s": 3600, "address_every_s": 3600, "forgotten_every_s": 3600}
    async with serve(
        sign_in_burst=3, address_burst=6, forgotten_burst=2, code_burst=3, code_every_s=3600, **slow
    ):
        yield


@pytest.fixture
def strict(slow, anybody):
    return anybody.using("")


@pytest.fixture
def somewhere():
    return f"2001:db8:{uuid4().hex[:4]}:{uuid4().hex[:4]}::1"


async def sign_up(anybody):
    address = f"{uuid4().hex}@example.org"
    await anybody.call(SignUp(address, PASSWORD, "Ada"))
    return address


async def test_known_and_unknown_accounts_stop_at_the_same_guess(strict, refused):
    for email in (await sign_up(strict), f"{uuid4().hex}@example.org", uuid4().hex):
        problems = [await refused(strict.call(SignIn(email, "wrong"))) for _ in range(5)]

        assert problems[:3] == [WrongCredentials()] * 3
        assert [type(problem) for problem in problems[3:]] == [Overloaded] * 2
        assert 3500 < problems[3].retry_after_s <= 3600


async def test_who_is_stopped_does_not_get_in_with_the_right_password(strict, refused):
    email = await sign_up(strict)
    for _ in range(3):
        await refused(strict.call(SignIn(email, "wrong")))

    assert isinstance(await refused(strict.call(SignIn(email, PASSWORD))), Overloaded)


async def test_another_spelling_of_an_address_is_the_same_account(strict, refused):
    email = await sign_up(strict)
    for spelled in (email, email.upper(), f" {email} "):
        await refused(strict.call(SignIn(spelled, "wrong")))

    assert isinstance(await refused(strict.call(SignIn(email.title(), "wrong"))), Overloaded)


async def test_guesses_at_once_are_counted_one_by_one(strict):
    email = await sign_up(strict)

    results = await asyncio.gather(
        *(strict.call(SignIn(email, "wrong")) for _ in range(20)), return_exceptions=True
    )

    assert sum(result.problem == WrongCredentials() for result in results) == 3


async def test_a_right_password_makes_up_for_the_wrong_ones(strict, refused):
    email = await sign_up(strict)
    for _ in range(4):
        for _ in range(2):
            assert await refused(strict.call(SignIn(email, "wrong"))) == WrongCredentials()
        assert await strict.call(SignIn(email, PASSWORD))


async def test_an_address_stops_whichever_accounts_it_tries(strict, refused, somewhere):
    strict.client = client_headers(somewhere, "curl")
    guesses = [SignIn(f"{uuid4().hex}@example.org", "wrong") for _ in range(7)]

    problems = [await refused(strict.call(guess)) for guess in guesses]

    assert problems[:6] == [WrongCredentials()] * 6
    assert isinstance(problems[6], Overloaded)
    neighbour = client_headers(somewhere.replace("::1", "::2"), "curl")
    strict.client = neighbour
    assert isinstance(await refused(strict.call(guesses[0])), Overloaded)
    assert isinstance(await refused(strict.call(ResetPassword("ppr_x", "long enough"))), Overloaded)
    strict.client = client_headers("192.0.2.1", "curl")
    assert await refused(strict.call(guesses[0])) == WrongCredentials()


async def test_a_stopped_address_leaves_the_account_alone(strict, refused, somewhere):
    """Or an attacker would use up the guesses of others without making any."""
    email = await sign_up(strict)
    strict.client = client_headers(somewhere, "curl")
    for _ in range(6):
        await refused(strict.call(SignIn(f"{uuid4().hex}@example.org", "wrong")))
    for _ in range(5):
        assert isinstance(await refused(strict.call(SignIn(email, "wrong"))), Overloaded)

    strict.client = None
    assert await strict.call(SignIn(email, PASSWORD))


async def test_where_an_account_is_signed_in_others_do_not_stop_it(strict, refused, somewhere):
    email = await sign_up(strict)
    at_home = strict.using("")
    at_home.client = client_headers(somewhere, "Firefox")
    assert await at_home.call(SignIn(email, PASSWORD))
    for _ in range(3):
        assert await refused(strict.call(SignIn(email, "wrong"))) == WrongCredentials()
    assert isinstance(await refused(strict.call(SignIn(email, "wrong"))), Overloaded)

    assert await at_home.call(SignIn(email, PASSWORD))
    problems = [await refused(at_home.call(SignIn(email, "wrong"))) for _ in range(4)]
    assert isinstance(problems[3], Overloaded)


async def test_signing_in_from_one_place_is_no_guess(strict, somewhere):
    email = await sign_up(strict)
    strict.client = client_headers(somewhere, "curl")

    for _ in range(10):
        assert await strict.call(SignIn(email, PASSWORD))


async def test_codes_are_guessed_slowly_by_who_has_the_password_too(strict, refused):
    email = f"{uuid4().hex}@example.org"
    ada = strict.using((await strict.call(SignUp(email, PASSWORD, "Ada"))).access_token)
    secret = base64.b32decode((await ada.call(EnrolTotp())).secret)
    await ada.call(ConfirmTotp(totp.code_of(secret, int(time.time()) // totp.STEP_S)))
    ticket = (await refused(strict.call(SignIn(email, PASSWORD)))).ticket

    problems = [await refused(strict.call(SignInSecondFactor(ticket, f"{n:06}x"))) for n in range(4)]

    assert problems[:3] == [WrongCredentials()] * 3
    assert isinstance(problems[3], Overloaded)
    ticket = (await refused(strict.call(SignIn(email, PASSWORD)))).ticket
    next_code = totp.code_of(secret, int(time.time()) // totp.STEP_S + 1)
    assert isinstance(await refused(strict.call(SignInSecondFactor(ticket, next_code))), Overloaded)


async def test_forgetting_is_bounded_for_any_address_alike(strict, refused):
    for email in (await sign_up(strict), f"{uuid4().hex}@example.org", uuid4().hex):
        assert [await strict.call(ForgotPassword(email)) for _ in range(2)] == [None] * 2
        assert isinstance(await refused(strict.call(ForgotPassword(email))), Overloaded)


async def test_what_was_typed_as_an_address_is_not_kept(strict, refused, rows):
    await refused(strict.call(SignIn("canary-typed", "wrong")))

    kept = "".join(str(dict(row)) for row in await rows("select bucket::text from identity.guesses"))
    assert b"canary-typed".hex() not in kept
    told = await rows("select detail || subject as text from identity.audit where action = 'sign_in.refused'")
    assert told
    assert not [row for row in told if "canary" in row["text"]]


@pytest.mark.parametrize(
    ("address", "site"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("", ""),
        ("unknown", ""),
    ],
)
def test_a_site_is_an_ipv4_address_or_64_bits_of_an_ipv6_one(address, site):
    assert _site(address) == site
