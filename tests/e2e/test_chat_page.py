"""The chat at `/chat` in two real browsers: what one says the other sees, through cuts, by keyboard and on a phone."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import expect

from polis.cli.api import Api
from polis.testing import eventually
from tests.chaos.proxy import Proxy
from tests.e2e.chromium import TIMEOUT_MS, needs_chromium
from tests.e2e.world import new_key

pytestmark = needs_chromium
DESK, PHONE = {"width": 1200, "height": 800}, {"width": 360, "height": 740}
LIST = {"name": "list.txt", "mimeType": "text/plain", "buffer": b"milk"}
MARKUP = "**Hi** <img src=x onerror=document.title='broken'> [x](javascript:alert(1))"


@pytest.fixture(scope="module")
async def mesh(stage):
    for service in ("identity", "catalog"):
        await stage.start(service)
    await stage.start("messaging", posts_per_second=1000.0, conversation_posts_per_second=1000.0)
    await stage.start("gateway", principal_rate=6000.0, principal_burst=1000)
    return stage


@pytest.fixture(scope="module")
async def ada(address):
    async with Api(address) as api:
        api.email, api.password = await api.sign_up(name="Ada")
        api.id = (await api.call("GET", "/me"))["principal"]["id"]
        yield api


@pytest.fixture(scope="module")
async def tom(ada, address):
    invitation = await ada.call("POST", "/invitations", {"email": f"{new_key()}@example.org"})
    async with Api(address) as api:
        api.email, api.password = invitation["email"], "a long enough password"
        account = {"email": api.email, "password": api.password, "name": "Tom"}
        session = await api.call("POST", "/sign-up", account | {"invitation": invitation["token"]})
        api.token, api.id = session["access_token"], session["me"]["principal"]["id"]
        yield api


@pytest.fixture
async def chat(browser, address):
    """Opens the page as somebody, in a browser of their own."""
    contexts = []

    async def opened(api, viewport, *, at=address, path="/chat", **options):
        context = await browser.new_context(viewport=viewport, reduced_motion="reduce", **options)
        contexts.append(context)
        page = await context.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        page.complaints = []
        page.on("pageerror", lambda e: page.complaints.append(str(e)))
        page.on("console", lambda m: page.complaints.append(m.text) if m.type == "error" else None)
        page.on("request", lambda r: page.complaints.append(r.url) if not r.url.startswith(at) else None)
        await context.request.post(
            f"{at}/api/v1/session", data={"email": api.email, "password": api.password}
        )
        await page.goto(at + path)
        return page

    yield opened
    for context in contexts:
        await context.close()


@pytest.fixture
async def group(ada, tom):
    """A conversation of their own for each test."""
    made = await ada.call(
        "POST", "/conversations", {"kind": "group", "name": new_key(), "participants": [tom.id]}
    )
    return made | {"path": f"/conversations/{made['id']}", "page": f"/chat#{made['id']}"}


def said(page, text):
    return page.locator("#messages > .message").filter(has_text=text)


def at_of(page):
    """Where the gateway is."""
    return page.url.partition("/chat")[0]


def field(page):
    return page.get_by_label("Message", exact=True)


def broken(page):
    """What went wrong. That a page has no CSRF token yet, and somebody no draft, is told by 403 and 404."""
    return [each for each in page.complaints if not re.search(r"status of 40[34]", each)]


async def choose(page, text, item):
    await said(page, text).hover()
    await said(page, text).get_by_role("button", name="What to do with").click()
    await page.get_by_role("menuitem", name=item).click()


async def test_two_talk_and_each_sees_what_the_other_does(ada, tom, group, chat):
    here = await chat(ada, DESK)
    await here.get_by_role("button", name="New").click()
    await here.get_by_role("button", name="Tom").click()
    await field(here).fill(MARKUP)
    await field(here).press("Enter")
    await expect(said(here, "Hi").locator("strong").nth(1)).to_have_text("Hi")
    await expect(said(here, "<img src=x onerror")).to_be_visible()
    assert await here.locator("#messages img, #messages a").count() == 0

    there = await chat(tom, PHONE, has_touch=True, is_mobile=True, color_scheme="dark")
    await there.get_by_role("link", name="Ada").tap()
    await expect(said(there, "Hi")).to_be_visible()
    await expect(said(here, "Hi")).to_contain_text("Read")
    await field(there).press_sequentially("Hello A")
    await expect(here.locator("#typing")).to_have_text("Tom is typing…")
    await field(there).fill("Hello @Ada")
    await there.get_by_role("button", name="Send").tap()
    await expect(said(here, "Hello @Ada")).to_be_visible()
    await expect(here.locator("#typing")).to_have_text("")
    await expect(here.locator("#heard")).to_contain_text("Tom: Hello @Ada")

    await here.locator("#file").set_input_files(LIST)
    await expect(here.get_by_role("button", name="Take out list.txt")).to_be_visible()
    await expect(here.locator("#files progress")).to_have_count(0)
    await field(here).press("Enter")
    link = there.get_by_role("link", name="list.txt")
    await expect(link).to_be_visible()
    assert await (await there.request.get(at_of(here) + await link.get_attribute("href"))).text() == "milk"
    assert (await tom.call("GET", "/artifacts"))["items"] == []

    await choose(here, "Hello @Ada", "React with 👍")
    await expect(said(there, "Hello @Ada").get_by_role("button", name="👍, 1: Ada")).to_be_visible()
    await choose(here, "Hi", "Edit")
    await field(here).fill("Hi, @Tom")
    await here.get_by_role("button", name="Save").click()
    await expect(said(there, "Hi, @Tom").get_by_role("button", name="edited")).to_be_visible()
    room = here.url.partition("#")[2]
    meant = {
        m["text"]: m["mentions"] for m in (await ada.call("GET", f"/conversations/{room}/messages"))["items"]
    }
    assert (meant["Hello @Ada"], meant["Hi, @Tom"]) == ([ada.id], [tom.id])
    await choose(here, "Hi, @Tom", "Delete")
    await here.get_by_role("button", name="Delete").click()
    await expect(said(there, "This message was deleted.")).to_be_visible()
    await choose(here, "list.txt", "Send on…")
    await here.get_by_role("dialog").get_by_role("button", name=group["name"]).click()
    await expect(here.locator("#name")).to_have_text(group["name"])
    await expect(said(here, "list.txt").get_by_role("link")).to_be_visible()

    assert await there.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    assert (broken(here), broken(there)) == ([], [])


async def test_what_is_said_while_older_ones_are_left_for_the_newest_is_shown(ada, tom, group, chat):
    posted = [
        await ada.call("POST", f"{group['path']}/messages", {"text": f"number {n}."}) for n in range(130)
    ]
    here = await chat(tom, DESK, path=f"{group['page']}/{posted[0]['seq']}")
    await expect(said(here, "number 0.")).to_be_visible()

    async def late(route):
        read = await route.fetch()
        await ada.call("POST", f"{group['path']}/messages", {"text": "meanwhile"})
        await expect(here.locator("#heard")).to_contain_text("meanwhile")
        await route.fulfill(response=read)

    await here.route(re.compile(r"/messages\?limit=\d+$"), late, times=1)
    await here.get_by_role("button", name="To the newest").click()

    await expect(said(here, "meanwhile")).to_be_visible()
    await expect(said(here, "number 129.")).to_be_visible()
    assert broken(here) == []


async def test_what_another_did_meanwhile_stays_where_an_answer_comes_late(ada, tom, group, chat):
    posted = await ada.call("POST", f"{group['path']}/messages", {"text": "hello"})
    message = f"{group['path']}/messages/{posted['seq']}"
    here = await chat(ada, DESK, path=group["page"])
    sign = said(here, "hello").get_by_role("button", name="👀, 1")

    async def late(route):
        pinned = await route.fetch()
        if pinned.ok:
            await tom.call("POST", f"{message}/reactions", {"emoji": "👀"})
            await expect(sign).to_be_visible()
        await route.fulfill(response=pinned)

    await here.route("**/pin", late)
    async with here.expect_response(lambda answer: answer.url.endswith("/pin") and answer.ok) as answered:
        await choose(here, "hello", "Pin")
    await (await answered.value).finished()
    await here.evaluate("() => new Promise((done) => setTimeout(() => requestAnimationFrame(done)))")

    await expect(said(here, "hello")).to_contain_text("pinned")
    assert await sign.is_visible()
    assert broken(here) == []


async def test_who_is_read_late_can_be_chosen_and_where_one_is_added_or_removed_is_told(ada, tom, chat):
    page = await chat(ada, DESK)
    await page.add_init_script("window.setInterval = () => 0")  # nothing is looked at now and then
    late = asyncio.Event()

    async def held(route):
        await late.wait()
        await route.continue_()

    await page.route("**/api/v1/members?*", held)
    await page.reload()
    await page.get_by_role("button", name="New").click()
    await expect(page.get_by_role("dialog")).to_contain_text("There is nobody else")
    late.set()
    await page.get_by_label("Person or agent").fill("tom")
    await expect(page.get_by_role("button", name="Tom")).to_be_visible()
    await page.get_by_label("Person or agent").press("Enter")
    await expect(page.locator("#name")).to_have_text("Tom")

    made = await tom.call(
        "POST", "/conversations", {"kind": "group", "name": "Added", "participants": [ada.id]}
    )
    await expect(page.get_by_role("link", name="Added")).to_be_visible()
    await expect(page.locator("#heard")).to_have_text("You take part from now on: Added")
    await tom.call("DELETE", f"/conversations/{made['id']}/participants/{ada.id}")
    await expect(page.get_by_role("link", name="Added")).to_have_count(0)


async def test_of_many_conversations_the_one_is_found_where_something_happened_first(chat, address):
    async with Api(address) as eve:
        eve.email, eve.password = await eve.sign_up(name="Eve")
        for name in ("Beginnings", *("Later" for _ in range(50))):
            await asyncio.gather(
                *(
                    eve.call("POST", "/conversations", {"kind": "group", "name": name})
                    for _ in range(1 if name == "Beginnings" else 10)
                )
            )
        page = await chat(eve, DESK)
        listed = page.get_by_role("navigation", name="Conversations").get_by_role("link")
        await expect(listed).to_have_count(50)

        find = page.get_by_label("Find conversations, or search messages")
        await find.fill("begin")

        await expect(listed).to_have_count(1)
        await find.fill("")
        await expect(listed).to_have_count(50)
        assert not broken(page)


async def test_who_may_write_nowhere_in_the_org_reads_and_is_told_why(ada, tom, group, chat, address):
    invited = {"email": f"{new_key()}@example.org", "role": "viewer"}
    invitation = await ada.call("POST", "/invitations", invited)
    async with Api(address) as vera:
        vera.email, vera.password = invitation["email"], "a long enough password"
        account = {"email": vera.email, "password": vera.password, "name": "Vera"}
        session = await vera.call("POST", "/sign-up", account | {"invitation": invitation["token"]})
    added = {"principal_id": session["me"]["principal"]["id"]}
    await ada.call("POST", f"{group['path']}/participants", added)
    await tom.call("POST", f"{group['path']}/messages", {"text": "Hello, Vera"})

    there = await chat(vera, DESK, path=group["page"])

    await expect(said(there, "Hello, Vera")).to_be_visible()
    await expect(there.get_by_text("Your role in this org lets you read and say nothing.")).to_be_visible()
    await expect(field(there)).to_be_hidden()
    await expect(there.get_by_role("button", name="New")).to_be_hidden()
    assert broken(there) == []


async def test_who_was_muted_writes_on_when_that_is_over(ada, tom, group, chat, address):
    async with Proxy("127.0.0.1", int(address.rpartition(":")[2])) as proxy:
        page = await chat(tom, PHONE, at=f"http://127.0.0.1:{proxy.port}", path=group["page"])
        await field(page).fill("Half written")
        await page.clock.install()
        until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        await ada.call("PATCH", f"{group['path']}/participants/{tom.id}", {"muted_until": until})
        await expect(page.locator("#mute")).to_contain_text("You may say nothing here until")
        await expect(field(page)).to_be_hidden()

        proxy.blackhole()  # nobody tells of it
        await page.clock.fast_forward(3_700_000)

        await expect(field(page)).to_be_visible()
        await expect(field(page)).to_have_value("Half written")


async def test_a_change_of_words_that_is_not_taken_is_not_lost(ada, tom, group, chat):
    sent = await tom.call("POST", f"{group['path']}/messages", {"text": "Half written"})
    page = await chat(tom, DESK, path=group["page"])
    await choose(page, "Half written", "Edit")
    await expect(field(page)).to_have_value("Half written")
    await ada.call("DELETE", f"{group['path']}/messages/{sent['seq']}")

    await field(page).fill("Written anew")
    await field(page).press("Enter")

    await expect(page.get_by_role("alert")).to_contain_text("The message was deleted")
    await expect(field(page)).to_have_value("Written anew")


async def test_what_is_written_during_a_cut_is_sent_once_and_what_was_missed_is_there(
    ada, tom, group, chat, address
):
    async with Proxy("127.0.0.1", int(address.rpartition(":")[2])) as proxy:
        page = await chat(ada, DESK, at=f"http://127.0.0.1:{proxy.port}", path=group["page"])
        await expect(field(page)).to_be_focused()

        proxy.cut()
        await expect(page.locator("#connection")).to_contain_text("lost")
        await field(page).fill("from a tunnel")
        await field(page).press("Enter")
        await tom.call("POST", f"{group['path']}/messages", {"text": "are you there?"})
        await page.locator(".pending").get_by_text("from a tunnel").wait_for()
        proxy.heal()

        await expect(said(page, "are you there?")).to_be_visible()
        await expect(page.locator("#connection")).to_be_hidden()
        await expect(page.locator(".pending")).to_have_count(0)
    texts = [each["text"] for each in (await ada.call("GET", f"{group['path']}/messages"))["items"]]
    assert sorted(texts) == ["are you there?", "from a tunnel"]


async def test_what_is_written_from_right_to_left_is_shown_so_and_no_word_leaves_its_box(
    ada, tom, group, chat
):
    await tom.call("POST", f"{group['path']}/messages", {"text": "مرحبا **بالعالم** `code`\n\nHello"})
    card = {"kind": "card", "title": "T" * 100, "content": {"lines": ["y" * 400], "n" * 80: "z" * 300}}
    await tom.call("POST", f"{group['path']}/messages", {"parts": [card]})
    page = await chat(ada, PHONE, path=group["page"])

    await expect(page.locator(".card")).to_be_visible()

    paragraphs = said(page, "Hello").locator(".text > p")
    await expect(paragraphs.nth(0)).to_have_css("direction", "rtl")
    await expect(paragraphs.nth(1)).to_have_css("direction", "ltr")
    width, content = await page.locator(".card").evaluate("card => [card.clientWidth, card.scrollWidth]")
    assert width == content
    await field(page).fill("שלום")
    await expect(field(page)).to_have_css("direction", "rtl")
    assert not broken(page)


async def test_an_answer_is_seen_while_it_is_said_and_stopped_by_who_reads(ada, tom, group, chat):
    page = await chat(ada, DESK, path=group["page"])
    await expect(field(page)).to_be_focused()

    async with spoken(tom, group) as say:
        await say("Once *upon*")
        answer = page.locator(".stream")
        await expect(answer.locator("em")).to_have_text("upon")
        await answer.get_by_role("button", name="Pause").click()
        await expect(answer).to_contain_text("is paused")
        await answer.get_by_role("button", name="Go on").click()
        await say(" a time")
        await expect(answer).to_contain_text("Once upon a time")
        await answer.get_by_role("button", name="Stop").click()
        await expect(answer).to_have_count(0)

    await expect(said(page, "Once upon a time")).to_contain_text("This was stopped.")
    assert broken(page) == []


@asynccontextmanager
async def spoken(api, group):
    """Says something piece by piece."""
    begun = await api.call("POST", f"{group['path']}/streams", {"client_id": new_key()})
    at = 0

    async def say(text):
        nonlocal at

        async def taken():
            status = await api.call("POST", f"/streams/{begun['stream_id']}/text", {"at": at, "text": text})
            return status["state"] == "open" and status["shown"] == at + len(text)

        await eventually(taken)
        at += len(text)

    yield say


async def test_all_can_be_done_by_keyboard_and_everything_has_a_name(ada, tom, group, chat):
    await tom.call("POST", f"{group['path']}/messages", {"text": "first"})
    await tom.call("POST", f"{group['path']}/messages", {"text": "second"})
    page = await chat(ada, DESK)
    press = page.keyboard.press

    await page.get_by_role("link", name=group["name"]).focus()
    await press("Enter")
    await expect(field(page)).to_be_focused()
    await page.keyboard.type("third")
    await press("Enter")
    await expect(said(page, "third")).to_contain_text("Sent")
    for key in ("ArrowUp", "Escape"):  # its last message is there to change; one thinks better of it
        await press(key)
    await said(page, "third").focus()
    for key in ("ArrowUp", "ArrowUp"):
        await press(key)
    await expect(said(page, "first")).to_be_focused()
    await press("Enter")
    await expect(page.get_by_role("menuitem").first).to_be_focused()
    await press("Escape")
    await expect(said(page, "first")).to_be_focused()
    await press("Enter")
    for key in ("End", "ArrowUp"):  # behind it: to delete, as the owner may
        await press(key)
    await expect(page.get_by_role("menuitem", name="Pin")).to_be_focused()
    await press("Enter")
    await expect(said(page, "first").locator(".pinned")).to_be_visible()
    more = page.get_by_role("button", name="About this conversation")
    for item, count in (("Mute it", 1), ("Notify me of it again", 0)):
        await more.focus()
        await press("Enter")
        await page.get_by_role("menuitem", name=item).focus()
        await press("Enter")
        await expect(page.get_by_role("link", name=group["name"]).get_by_text("Muted")).to_have_count(count)
        await expect(more).to_be_focused()
        preferences = await ada.call("GET", "/notification-preferences")
        assert preferences.get("not_of", []) == [group["id"]] * count
    await expect(page.locator("#heard")).to_contain_text("You are told of it as of others again")
    await page.get_by_role("link", name="To the message field").focus()
    await press("Enter")
    await expect(field(page)).to_be_focused()

    assert await page.evaluate(UNNAMED) == []
    assert await page.evaluate(FAINT) == []
    assert broken(page) == []


UNNAMED = """[...document.querySelectorAll("button, input, textarea, a, [role], dialog, progress, img")].filter((each) => {
    const text = each.getAttribute("aria-label") || each.alt || each.textContent.trim() || each.labels?.[0]?.textContent.trim();
    return each.checkVisibility() && !text && !["log", "status", "menu", "alert"].includes(each.role);
}).map((each) => each.outerHTML)"""
"""What can be used, or says what it is, and has no name."""
FAINT = """(() => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const rgb = (colour) => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const light = ([r, g, b]) => [r, g, b].reduce((sum, value, n) => {
        const c = value / 255;
        return sum + [0.2126, 0.7152, 0.0722][n] * (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    }, 0);
    const behind = (each) => {
        for (let at = each; at; at = at.parentElement) {
            const colour = rgb(getComputedStyle(at).backgroundColor);
            if (colour[3] === 255) return colour;
        }
        return [255, 255, 255];
    };
    const contrast = (each) => {
        const [a, b] = [light(rgb(getComputedStyle(each).color)), light(behind(each))].sort((x, y) => y - x);
        return (a + 0.05) / (b + 0.05);
    };
    const texts = [...document.querySelectorAll("body *")].filter((each) =>
        each.checkVisibility() && [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
    return texts.filter((each) => contrast(each) < 4.5).map((each) => each.outerHTML);
})()"""
"""Texts whose contrast is below that of WCAG's level AA."""
