"""What POLIS_SIGN_UP allows. Each test runs identity as it is set for that test."""

from __future__ import annotations

import pytest

from polis.identity.config import Config
from polis.proto.identity import (
    AskToSignUp,
    InvitationNotFound,
    InviteMember,
    NothingToConfirm,
    SignUp,
    SignUpClosed,
)

PASSWORD = "canary-password"


@pytest.fixture
async def invited(serve, anybody, email):
    async with serve():
        owner = await anybody.call(SignUp(email("owner"), PASSWORD, "Owner"))
        return await anybody.using(owner.access_token).call(InviteMember(email("ben")))


async def test_by_invitation_only_the_invited_come_in(invited, serve, anybody, email, refused):
    async with serve(sign_up="invitation"):
        assert await refused(anybody.call(SignUp(email(), PASSWORD, "Ben"))) == SignUpClosed()
        unknown = SignUp(email(), PASSWORD, "Ben", invitation="pin_unknown")
        assert await refused(anybody.call(unknown)) == InvitationNotFound()
        session = await anybody.call(SignUp(invited.email, PASSWORD, "Ben", invitation=invited.token))

    assert session.me.role == "member"


async def test_without_its_invitation_nobody_learns_whether_an_address_is_taken(
    invited, serve, anybody, email, refused
):
    async with serve(sign_up="invitation"):
        await anybody.call(SignUp(invited.email, PASSWORD, "Ben", invitation=invited.token))
        for address in (invited.email, email()):
            for token in (invited.token, "pin_unknown"):
                attempt = SignUp(address, PASSWORD, "Ben", invitation=token)
                assert await refused(anybody.call(attempt)) == InvitationNotFound()


async def test_by_invitation_only_the_invited_are_mailed_and_without_a_server_nobody_is(
    serve, anybody, email, refused
):
    async with serve(sign_up="invitation", smtp_host="127.0.0.1", smtp_port=9, mail_from="polis@example.org"):
        assert await refused(anybody.call(AskToSignUp(email()))) == SignUpClosed()
        unknown = AskToSignUp(email(), invitation="pin_unknown")
        assert await refused(anybody.call(unknown)) == InvitationNotFound()
    async with serve():
        assert await refused(anybody.call(AskToSignUp(email()))) == NothingToConfirm()


async def test_closed_is_closed_to_the_invited_too(invited, serve, anybody, refused):
    async with serve(sign_up="closed"):
        request = SignUp(invited.email, PASSWORD, "Ben", invitation=invited.token)
        assert await refused(anybody.call(request)) == SignUpClosed()


def test_nobody_comes_in_uninvited_by_default():
    assert Config().sign_up == "invitation"
