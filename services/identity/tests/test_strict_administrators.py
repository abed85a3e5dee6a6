"""A mesh that others reach, whose administrators need a second factor."""

from __future__ import annotations

import base64
import time

import pytest

from polis.identity.people import totp
from polis.proto.identity import (
    ConfirmTotp,
    CreateOrg,
    EnrolTotp,
    ListAccounts,
    ListMails,
    MailsAreSent,
    Refresh,
    SignUp,
)
from polis.proto.problems import SecondFactorMissing


@pytest.fixture(scope="module")
async def strict(serve, anybody):
    async with serve(administrators_need_otp=True, public_url="https://polis.example"):
        yield anybody


@pytest.fixture
async def session(strict, email, rows):
    session = await strict.call(SignUp(email("root"), "canary-password", "Root"))
    account_id = session.me.principal.id
    await rows("insert into identity.administrators (account_id, since) values ($1, now())", account_id)
    return session


async def test_without_a_second_factor_an_administrator_is_none(strict, session, refused):
    root = strict.using(session.access_token)

    assert await refused(root.call(ListAccounts())) == SecondFactorMissing()
    assert await root.call(CreateOrg("Own"))


async def test_setting_one_up_is_enough_and_its_mails_are_nobodys_to_read(strict, session, refused):
    root = strict.using(session.access_token)
    secret = base64.b32decode((await root.call(EnrolTotp())).secret)
    await root.call(ConfirmTotp(totp.code_of(secret, int(time.time()) // totp.STEP_S)))

    renewed = strict.using((await strict.call(Refresh(session.refresh_token))).access_token)

    assert (await renewed.call(ListAccounts(limit=1))).items
    assert await refused(renewed.call(ListMails())) == MailsAreSent()
