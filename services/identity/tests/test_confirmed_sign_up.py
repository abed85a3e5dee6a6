"""Signing up where mails are sent: the address comes first, and nobody but who reads its mails learns of its account."""

from __future__ import annotations

from datetime import timedelta

import pytest

from polis.identity.config import Config
from polis.identity.people.confirmations import Confirmations
from polis.identity.tokens.keys import utc_now
from polis.proto.identity import (
    AskToSignUp,
    ConfirmationNeeded,
    ConfirmationRefused,
    EmailTaken,
    SignIn,
    SignUp,
)
from polis.service import Secret
from polis.testing import eventually
from services.identity.tests.test_mail import listening

PASSWORD = "canary-password"


@pytest.fixture(scope="module")
async def server(serve):
    async with listening() as server:
        smtp = {"smtp_host": "127.0.0.1", "smtp_port": server.port, "smtp_security": "none"}
        async with serve(mail_from="Polis <polis@example.org>", mail_every_s=0.05, **smtp):
            yield server


@pytest.fixture
def ask(server, anybody):
    """The text of the mail that an address gets when somebody wants an account with it."""

    async def ask(address):
        known = len(server.to(address))
        assert await anybody.call(AskToSignUp(address)) is None
        return (await eventually(lambda: server.to(address)[known:]))[0].get_content()

    return ask


def token_in(text):
    """Nothing in a mail without a link."""
    return "".join(text.partition("/sign-up#")[2].split()[:1])


@pytest.fixture
async def taken(ask, anybody, email):
    address = email()
    await anybody.call(SignUp(address, PASSWORD, "Ada", confirmation=token_in(await ask(address))))
    return address


async def test_the_link_of_the_mail_leads_to_an_account(ask, anybody, email):
    address = email()
    request = SignUp(address.upper(), PASSWORD, "Ada", confirmation=token_in(await ask(address)))

    session = await anybody.call(request, key=f"k-{address}")

    assert session.me.role == "owner"
    assert await anybody.call(request, key=f"k-{address}") == session
    assert (await anybody.call(SignIn(address, PASSWORD))).me.principal == session.me.principal


async def test_whether_an_address_is_taken_is_told_in_its_own_mails_alone(
    taken, ask, anybody, email, rows, refused
):
    suspended = email()
    await anybody.call(SignUp(suspended, PASSWORD, "S", confirmation=token_in(await ask(suspended))))
    await rows("update identity.accounts set suspended_at = now() where email = $1", suspended)
    foreign = token_in(await ask(email()))

    for address in (taken, suspended, email()):
        for confirmation, problem in (
            (None, ConfirmationNeeded()),
            ("psu_", ConfirmationRefused()),
            (foreign, ConfirmationRefused()),
        ):
            attempt = SignUp(address, PASSWORD, "Eve", confirmation=confirmation)
            assert await refused(anybody.call(attempt)) == problem
        assert await anybody.call(AskToSignUp(address)) is None
    text = await ask(taken)
    assert "there is one" in text
    assert token_in(text) == ""


async def test_who_is_suspended_gets_no_mail(taken, ask, server, anybody, rows, email):
    await rows("update identity.accounts set suspended_at = now() where email = $1", taken)
    before = len(server.to(taken))

    await anybody.call(AskToSignUp(taken))
    await ask(email())  # written behind it

    assert len(server.to(taken)) == before


async def test_a_confirmation_is_of_one_address_for_a_day_and_of_this_mesh(
    server, anybody, email, mesh_secret, refused
):
    address, now = email(), utc_now()
    ours = Confirmations(Config(mesh_secret=Secret(mesh_secret)))
    other = Confirmations(Config(mesh_secret=Secret("another" * 8)))
    good = ours.token(address, now + timedelta(minutes=1))
    for token in (
        ours.token(address, now - timedelta(seconds=1)),
        ours.token(email(), now + timedelta(minutes=1)),
        other.token(address, now + timedelta(minutes=1)),
        good[:-4],
        good[:12],
        "psu_ü",
        "x",
    ):
        attempt = SignUp(address, PASSWORD, "Ada", confirmation=token)
        assert await refused(anybody.call(attempt)) == ConfirmationRefused(), token

    assert await anybody.call(SignUp(address, PASSWORD, "Ada", confirmation=good))
    again = await refused(anybody.call(SignUp(address, PASSWORD, "Ada", confirmation=good)))
    assert again == EmailTaken(email=address)
    assert address not in good
