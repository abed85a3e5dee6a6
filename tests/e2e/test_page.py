"""The page at `/` in a real browser: sign up, run the digest, see it live, cancel nothing, sign out."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.e2e.chromium import TIMEOUT_MS, needs_chromium

pytestmark = needs_chromium


@pytest.fixture
async def page(browser, address):
    context = await browser.new_context(viewport={"width": 390, "height": 844})
    page = await context.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    page.complaints = []
    page.on("console", lambda m: page.complaints.append(m.text) if m.type == "error" else None)
    page.on("request", lambda r: page.complaints.append(r.url) if not r.url.startswith(address) else None)
    await page.goto(address)
    yield page
    await context.close()


async def sign_up(page, name="Ada"):
    await page.get_by_role("button", name="I have no account yet").click()
    await page.get_by_label("E-mail").fill(f"{name.lower()}-{id(page)}@example.org")
    await page.get_by_label("Password").fill("a long enough password")
    await page.get_by_label("Name").fill(name)
    await page.get_by_role("button", name="Create account").click()
    await expect(page.get_by_role("heading", name="Email digest")).to_be_visible()


async def test_a_newcomer_signs_up_and_sees_a_digest_come_about(page):
    await sign_up(page)

    await page.get_by_role("button", name="Run").click()

    await expect(page.get_by_role("status")).to_have_text("succeeded", timeout=TIMEOUT_MS)
    steps = page.get_by_role("list", name="Steps").get_by_role("listitem")
    assert await steps.count() >= 5
    assert all("succeeded" in text for text in await steps.all_inner_texts())
    await expect(page.get_by_label("Digest", exact=True)).not_to_be_empty()


async def test_a_session_outlives_a_reload_and_ends_with_sign_out(page):
    await sign_up(page, "Bert")

    await page.reload()
    await expect(page.get_by_role("heading", name="Email digest")).to_be_visible()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await page.reload()

    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


async def test_a_wrong_password_is_told_in_words(page):
    await page.get_by_label("E-mail").fill("nobody@example.org")
    await page.get_by_label("Password").fill("not the password")
    await page.get_by_role("button", name="Sign in").click()

    await expect(page.get_by_role("alert")).to_contain_text("do not fit")


async def test_a_mailbox_that_is_none_fails_the_run_and_says_why(page, tmp_path):
    nonsense = tmp_path / "nonsense.mbox"
    nonsense.write_bytes(b"\x00\x01\x02 this is no mailbox" * 100)
    await sign_up(page, "Carl")

    await page.get_by_label("Mailbox").set_input_files(nonsense)
    await page.get_by_role("button", name="Run").click()

    await expect(page.get_by_role("status")).to_contain_text("failed: read", timeout=TIMEOUT_MS)


async def test_nothing_is_loaded_from_elsewhere_and_nothing_breaks_the_policy(page):
    await sign_up(page, "Dora")

    assert [c for c in page.complaints if "401" not in c] == []
