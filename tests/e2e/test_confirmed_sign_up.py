"""Signing up in a real browser on a mesh that sends mails: the address first, then the link, then the account."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from polis.testing import eventually
from services.identity.tests.test_mail import listening
from tests.e2e.test_account_page import FIRST, is_in, page, pytestmark, sign_in

__all__ = ["page", "pytestmark"]


@pytest.fixture(scope="module")
async def server():
    async with listening() as server:
        yield server


@pytest.fixture(scope="module")
async def mesh(stage, server):
    smtp = {"smtp_host": "127.0.0.1", "smtp_port": server.port, "smtp_security": "none"}
    await stage.start("identity", mail_from="Polis <polis@example.org>", mail_every_s=0.05, **smtp)
    await stage.start("gateway")
    return stage


async def ask(page, address, email):
    await page.goto(address)
    await page.get_by_role("button", name="I have no account yet").click()
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_label("Password").fill(FIRST)
    await page.get_by_role("button", name="Create account").click()
    await expect(page.get_by_text("on its way")).to_be_visible()


async def test_the_link_of_the_mail_makes_the_account_and_who_has_one_sees_the_same(page, address, server):
    email = "ada@example.org"
    await ask(page, address, email)
    [mail] = await eventually(lambda: server.to(email))
    token = mail.get_content().partition("/sign-up#")[2].split()[0]
    await page.goto(f"{address}/sign-up#{token}")
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_label("Name").fill("Ada")
    await page.get_by_label("Password").fill(FIRST)
    await page.get_by_role("button", name="Create account").click()
    await expect(page.get_by_role("status")).to_contain_text("is made")
    assert token not in page.url

    await ask(page, address, email)
    await eventually(lambda: len(server.to(email)) == 2)
    assert "there is one" in server.to(email)[1].get_content()
    await sign_in(page, address, email, FIRST)
    await is_in(page)
