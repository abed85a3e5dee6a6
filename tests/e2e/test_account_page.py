"""People's own pages in a real browser: the one-time link, the second factor, a forgotten password, the reference."""

from __future__ import annotations

import base64
import hmac
import re
import struct
import time

import pytest
from playwright.async_api import expect

from polis.cli.api import Api
from polis.testing import eventually
from tests.e2e.chromium import TIMEOUT_MS, needs_chromium

pytestmark = needs_chromium
FIRST, SECOND = "a long enough password", "another long password"
STEP_S = 30
RENEW = "fetch('/api/v1/session/refresh', { method: 'POST' }).then((answer) => answer.status)"
"""As another tab does it: this one's script knows nothing of it."""


@pytest.fixture(scope="module")
async def mesh(stage, tmp_path_factory):
    stage.link_file = tmp_path_factory.mktemp("link") / "link"
    await stage.start("identity", admin_link_file=str(stage.link_file))
    await stage.start("messaging")
    await stage.start("gateway")
    return stage


@pytest.fixture
async def page(browser, address):
    context = await browser.new_context(viewport={"width": 390, "height": 844})
    page = await context.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    page.complaints = []
    page.on("pageerror", lambda e: page.complaints.append(str(e)))
    page.on("console", lambda m: page.complaints.append(m.text) if m.type == "error" else None)
    yield page
    await context.close()


def code_of(secret: str, steps: int = 0) -> str:
    """RFC 6238: SHA-1, six digits, half minutes."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.digest(key, struct.pack(">Q", int(time.time() // STEP_S) + steps), "sha1")
    at = digest[-1] & 15
    return f"{(int.from_bytes(digest[at : at + 4], 'big') & 0x7FFFFFFF) % 1_000_000:06}"


async def sign_in(page, address, email, password):
    await page.goto(address)
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Sign in").click()


async def sign_out(page):
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


async def is_in(page):
    await expect(page.get_by_role("button", name="Sign out")).to_be_visible()


async def test_the_link_makes_an_administrator_who_reads_the_mail_that_resets_a_password(mesh, page, address):
    """One story, for the link works once, and only an administrator sees mails that nobody sends."""
    token = mesh.link_file.read_text(encoding="utf-8").strip().rpartition("#")[2]
    await page.goto(f"{address}/administrator#{token}")
    await page.get_by_label("Name").fill("Root")
    await page.get_by_label("E-mail").fill("root@example.org")
    await page.get_by_label("Password").fill(FIRST)
    await page.get_by_role("button", name="Create").click()
    await is_in(page)
    assert token not in page.url

    await page.goto(f"{address}/forgotten-password")
    await page.get_by_label("E-mail").fill("root@example.org")
    await page.get_by_role("button", name="Send the link").click()
    await expect(page.get_by_role("status")).to_contain_text("on its way")
    async with Api(address) as api:
        signed_in = {"email": "root@example.org", "password": FIRST}
        api.token = (await api.call("POST", "/sign-in", signed_in))["access_token"]

        async def mailed():
            texts = [mail["text"] for mail in (await api.call("GET", "/mails"))["items"]]
            return next(
                (found[1] for text in texts if (found := re.search(r"/reset-password#(\S+)", text))), None
            )

        reset = await eventually(mailed)
    await page.goto(f"{address}/reset-password#{reset}")
    await page.get_by_role("textbox", name="New password").fill(SECOND)
    await page.get_by_role("button", name="Set password").click()
    await expect(page.get_by_role("status")).to_contain_text("is set")
    assert reset not in page.url

    await sign_in(page, address, "root@example.org", FIRST)
    await expect(page.get_by_role("alert")).to_contain_text("do not fit")
    await sign_in(page, address, "root@example.org", SECOND)
    await is_in(page)


async def test_one_says_what_one_is_told_of_and_when_not(page, address):
    async with Api(address) as api:
        email, password = await api.sign_up()
        await sign_in(page, address, email, password)
        await page.get_by_role("link", name="Account").click()
        await expect(page.get_by_label("By the clock of")).not_to_have_value("")
        await page.get_by_label("messages that name me").check()
        await page.get_by_label("By mail").check()
        await page.get_by_label("At a webhook").fill("https://example.com/hook")
        await page.get_by_label("From").fill("22:00")
        await page.get_by_label("Until").fill("07:00")
        await page.get_by_label("By the clock of").fill("Europe/Atlantis")
        await page.get_by_role("button", name="Keep").click()
        await expect(page.get_by_role("alert")).to_contain_text("/quiet/zone")
        await page.get_by_label("By the clock of").fill("Europe/Berlin")
        await page.get_by_role("button", name="Keep").click()
        await expect(page.get_by_role("status")).to_have_text("Kept.")

        (secret,) = (await api.call("GET", "/secrets"))["items"]
        assert (secret["protection"], secret["hosts"]) == ("personal", ["example.com"])
        shown = await page.get_by_label("Signing secret").inner_text()
        assert re.fullmatch("whsec_[A-Za-z0-9+/]{43}=", shown)
        assert await api.call("GET", "/notification-preferences") == {
            "about": ["mentions"],
            "mail": True,
            "hook": {"url": "https://example.com/hook", "secret_id": secret["id"]},
            "quiet": {"begin": "22:00", "end": "07:00", "zone": "Europe/Berlin"},
            "not_of": [],
            "failed_at": None,
            "failure": None,
        }
        await page.get_by_label("At a webhook").fill("https://hooks.example/here")
        await page.get_by_role("button", name="Keep").click()
        await expect(page.get_by_label("Signing secret")).not_to_have_text(shown)
        (moved,) = (await api.call("GET", "/secrets"))["items"]
        assert (moved["id"], moved["hosts"]) == (secret["id"], ["hooks.example"])


async def test_a_second_factor_is_set_up_and_asked_for_from_then_on(page, address):
    async with Api(address) as api:
        email, password = await api.sign_up()
    await sign_in(page, address, email, password)
    await page.get_by_role("link", name="Account").click()
    await expect(page.get_by_text("Off: the password alone")).to_be_visible()
    await page.get_by_role("button", name="Set up an authenticator").click()
    await expect(page.get_by_label("Key")).not_to_be_empty()
    secret = (await page.get_by_label("Key").inner_text()).strip()
    await page.get_by_label("Code", exact=True).fill(code_of(secret))
    await page.get_by_role("button", name="Switch on").click()
    await expect(page.get_by_text("On.")).to_be_visible()
    codes = await page.get_by_role("list", name="Recovery codes").get_by_role("listitem").all_inner_texts()
    await page.goto(address)
    await sign_out(page)

    await sign_in(page, address, email, password)
    await page.get_by_label("Code of the authenticator").fill("000000")
    await page.get_by_role("button", name="Continue").click()
    await expect(page.get_by_role("alert")).to_be_visible()
    await page.get_by_label("Code of the authenticator").fill(code_of(secret, 1))
    await page.get_by_role("button", name="Continue").click()
    await is_in(page)
    await sign_out(page)
    await sign_in(page, address, email, password)
    await page.get_by_label("Code of the authenticator").fill(codes[0])
    await page.get_by_role("button", name="Continue").click()
    await is_in(page)


async def test_a_password_is_changed_and_other_sessions_are_seen_and_ended(page, address):
    async with Api(address) as other:
        email, password = await other.sign_up()
        await sign_in(page, address, email, password)
        await page.get_by_role("link", name="Account").click()
        sessions = page.get_by_role("list", name="Sessions").get_by_role("listitem")
        await expect(sessions).to_have_count(2)
        await page.get_by_role("button", name="End the session").click()
        await expect(sessions).to_have_count(1)
        await page.get_by_label("Current password", exact=True).fill("not the password")
        await page.get_by_role("textbox", name="New password").fill(SECOND)
        await page.get_by_role("button", name="Change password").click()
        await expect(page.get_by_role("alert")).to_be_visible()
        await page.get_by_label("Current password", exact=True).fill(password)
        await page.get_by_role("textbox", name="New password").fill(SECOND)
        await page.get_by_role("button", name="Change password").click()
        await expect(page.get_by_role("status")).to_contain_text("is changed")


async def test_a_tab_that_renews_the_session_behind_another_stays_signed_in(page, address):
    async with Api(address) as api:
        email, password = await api.sign_up()
    await sign_in(page, address, email, password)
    await is_in(page)
    context, url = page.context, f"{address}/api/v1/session/refresh"
    before = await context.cookies(url)
    assert (
        await page.evaluate(RENEW) == 200
    )  # by the other tab, whose answer is not here yet when this one asks
    after = await context.cookies(url)
    await context.clear_cookies()
    await context.add_cookies([cookie for cookie in before if cookie["name"] == "polis_refresh"])
    await page.clock.install()

    async with page.expect_response(lambda answer: answer.url == url) as refused:
        await page.reload()
    assert (await (await refused.value).json())["raced"]
    await context.add_cookies(after)
    await page.clock.run_for(1_000)

    await is_in(page)


async def test_a_tab_goes_on_behind_another_that_renewed_the_session_and_behind_its_end(page, address):
    async with Api(address) as api:
        email, password = await api.sign_up()
    await sign_in(page, address, email, password)
    await is_in(page)

    assert await page.evaluate(RENEW) == 200
    await sign_out(page)

    await sign_in(page, address, email, password)
    await is_in(page)
    await page.context.clear_cookies(name="polis_access")
    await sign_out(page)


async def test_the_reference_is_drawn_from_what_this_gateway_serves(page, address):
    await page.goto(f"{address}/docs")

    # Its library draws all operations at once, which takes a browser many times what any other page does.
    await expect(page.locator("#reference")).to_have_attribute("aria-busy", "false", timeout=2 * TIMEOUT_MS)
    await expect(page.get_by_role("heading", name="Polis").first).to_be_visible()
    assert [c for c in page.complaints if "logo-mini" not in c] == []  # its maker's logo, which stays out


@pytest.mark.parametrize(
    "path", ["/", "/administrator", "/forgotten-password", "/reset-password", "/sign-up"]
)
async def test_pages_break_no_policy_and_name_all_their_fields(page, address, path):
    await page.goto(address + path)
    unnamed = await page.evaluate(
        "[...document.querySelectorAll('input, button')].filter((e) => !e.labels?.length && !e.textContent.trim()).length"
    )

    assert unnamed == 0
    assert [c for c in page.complaints if "401" not in c] == []
