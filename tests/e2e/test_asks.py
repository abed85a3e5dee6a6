"""Asks from outside: an inbox that is followed and answered on the socket, a link and its page, what the audit log tells.

And in conversations: asks that a reply answers, and those by which an agent hands one over.
"""

from __future__ import annotations

import io

import aiohttp
import pytest
from playwright.async_api import expect
from rich.console import Console

from polis.cli.api import Api, Problem
from polis.cli.asks import Said, answer, inbox
from polis.messaging.asked import service as asked_service
from polis.messaging.asked.words import AGAIN
from polis.testing import eventually
from tests.e2e.chromium import browsing, needs_chromium
from tests.e2e.world import new_key

FORM = {
    "type": "object",
    "properties": {
        "count": {"type": "integer", "minimum": 1, "title": "How many"},
        "when": {"type": "string", "enum": ["now", "later"], "title": "When"},
        "gift": {"type": "boolean", "title": "As a gift"},
    },
    "required": ["count", "when"],
}


@pytest.fixture
def start(ada):
    """Starts a run of a graph that asks."""

    async def start(**config):
        config = {"kind": "approval", "title": "May I?", "to": [{"role": "owner"}]} | config
        content = {
            "nodes": {"ask": {"component": "ask", "config": config}},
            "inputs": {"value": {"target": "ask.in", "required": False, "default": {"to": "Tom"}}},
            "outputs": {"value": {"source": "ask.out"}},
        }
        resource = await ada.call(
            "POST", "/resources", {"type": "graph", "key": new_key(), "content": content}
        )
        await ada.call("POST", f"/resources/{resource['id']}/versions", {})
        await ada.call("PUT", f"/resources/{resource['id']}/activations/production", {"number": 1})
        return await ada.call("POST", "/runs", {"graph": resource["key"]})

    return start


@pytest.fixture
def asked(ada):
    async def asked(run):
        async def look():
            return (await ada.call("GET", f"/asks?run_id={run['id']}"))["items"]

        return (await eventually(look, within_s=5))[0]

    return asked


@pytest.fixture
def output(ada):
    async def output(run):
        async def look():
            try:
                return await ada.call("GET", f"/runs/{run['id']}/output")
            except Problem:
                return None

        return (await eventually(look, within_s=5))["values"]["value"]

    return output


class Socket:
    """An open live connection; `until` gives the next frame of a kind."""

    def __init__(self, socket):
        self.socket = socket

    async def say(self, **words):
        await self.socket.send_json({"topic": "asks", **words})

    async def answer(self, ask, decision):
        request = {"ask_id": ask["id"], "decision": decision}
        await self.socket.send_json({"op": "call", "id": 3, "name": "AnswerAsk", "request": request})

    async def until(self, op):
        while True:
            frame = await self.socket.receive_json(timeout=30)
            assert frame["op"] in (op, "events"), frame
            if frame["op"] == op:
                return frame


@pytest.fixture
async def socket(ada, address):
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{address}/api/v1/live", headers={"Authorization": f"Bearer {ada.token}"}) as socket,
    ):
        yield Socket(socket)


async def test_an_inbox_is_followed_and_answered_on_the_socket(start, output, socket):
    await socket.say(op="subscribe")
    assert (await socket.until("snapshot"))["data"]["asks"] == []

    run = await start()
    (opened,) = (await socket.until("events"))["data"]
    ask = opened["ask"]
    assert (ask["run_id"], ask["title"]) == (run["id"], "May I?")
    await socket.answer(ask, "maybe")
    assert (await socket.until("problem"))["problem"]["faults"][0]["pointer"] == "/decision"
    await socket.answer(ask, "approve")
    assert (await socket.until("ack"))["data"]["state"] == "answered"

    assert await output(run) == {"to": "Tom"}
    await socket.say(op="subscribe")  # again, from the beginning
    assert (await socket.until("snapshot"))["data"]["asks"] == []


async def test_an_ask_that_is_answered_elsewhere_leaves_the_inbox(ada, start, asked, socket):
    ask = await asked(await start())
    await socket.say(op="subscribe")
    assert [each["id"] for each in (await socket.until("snapshot"))["data"]["asks"]] == [ask["id"]]

    await ada.call("POST", f"/asks/{ask['id']}/answer", {"decision": "deny"})

    assert (await socket.until("events"))["data"] == [{"seq": 2, "ask": None, "left": ask["id"]}]


async def test_who_may_not_answer_follows_nothing_and_others_see_theirs_alone(start, asked, address):
    await asked(await start())
    async with Api(address) as eve, aiohttp.ClientSession() as http:
        await eve.sign_up(name="Eve")
        key = await eve.call("POST", "/keys", {"name": "K", "scopes": ["runtime:read"]})

        async def first(token):
            headers = {"Authorization": f"Bearer {token}"}
            async with http.ws_connect(f"{address}/api/v1/live", headers=headers) as socket:
                await socket.send_json({"op": "subscribe", "topic": "asks"})
                return await socket.receive_json(timeout=30)

        assert (await first(eve.token))["data"]["asks"] == []
        assert (await first(key["secret"]))["problem"]["scope"] == "runtime:answer"


async def test_the_audit_log_tells_who_answered_what_and_when(ada, start, asked, output):
    me = await ada.call("GET", "/me")
    ask = await asked(run := await start())
    link = await ada.call("POST", f"/asks/{ask['id']}/links", {})
    body = {"token": link["path"].partition("#")[2], "decision": "approve"}
    async with Api(ada.address) as nobody:
        await nobody.call("POST", "/ask-links/answer", body)
    await output(run)

    async def look():
        told = (await ada.call("GET", "/audit"))["items"]
        found = {record["action"]: record for record in told if record["subject"] == ask["id"]}
        return found if len(found) == 2 else None

    records = await eventually(look, within_s=5)
    answered = records["ask.answered"]
    assert (answered["actor_id"], "ask.link_made" in records) == (me["principal"]["id"], True)
    assert answered["detail"] == {"run": run["id"], "kind": "approval", "decision": "approve", "via": "link"}
    assert body["token"] not in str(records)


async def test_the_command_lists_and_answers(ada, start, asked, output):
    ask = await asked(run := await start(kind="input", form=FORM))
    console = Console(file=io.StringIO(), width=200)

    assert await inbox(ada, "open", console) == 0
    wrong = await answer(ada, ask["id"], Said("submit", '{"count": 0}'), console)
    right = await answer(ada, ask["id"], Said("submit", '{"count": 2, "when": "now"}', "Yes"), console)

    assert (wrong, right) == (1, 0)
    told = console.file.getvalue()
    assert ask["id"] in told
    assert "/value/count" in told
    assert await output(run) == {"count": 2, "when": "now"}


@needs_chromium
async def test_a_link_opens_a_page_with_a_form_made_from_the_schema(ada, start, asked, output, address):
    run = await start(kind="input", title="What for {{to}}?", text="<b>Please</b>", form=FORM)
    ask = await asked(run)
    link = await ada.call("POST", f"/asks/{ask['id']}/links", {})
    complaints = []
    async with browsing() as browser:
        page = await browser.new_page()
        page.on("pageerror", lambda e: complaints.append(str(e)))
        await page.goto(address + link["path"])
        await expect(page.get_by_role("heading", name="What for Tom?")).to_be_visible()
        await expect(page.get_by_text("<b>Please</b>")).to_be_visible()
        assert "pak_" not in page.url

        assert (await ada.call("GET", f"/asks/{ask['id']}"))["ask"]["state"] == "open"
        await page.get_by_label("How many").fill("3")
        await page.get_by_label("When").select_option("later")
        await page.get_by_label("As a gift").check()
        await page.get_by_role("button", name="Send").click()
        await expect(page.get_by_role("status")).to_contain_text("Thank you")
        await page.goto("about:blank")
        await page.goto(address + link["path"])
        await expect(page.get_by_role("alert")).to_contain_text("not valid")

    assert await output(run) == {"count": 3, "when": "later", "gift": True}
    assert complaints == []


async def left_behind(mesh):
    """The replies that nobody has settled, by number; from now on they are those of a process that died."""
    async with mesh.running["messaging"].kernel.database.across_orgs() as tx:
        return await tx.rows(
            int,
            "update messaging.asked_replies set due_at = clock_timestamp() where due_at < 'infinity' returning seq",
        )


async def test_a_reply_in_a_conversation_answers_what_is_asked_there_if_it_is_clear(
    ada, start, output, mesh, monkeypatch
):
    invitation = await ada.call("POST", "/invitations", {"email": f"{new_key()}@example.org"})
    async with Api(ada.address) as tom:
        account = {"email": invitation["email"], "password": "long enough", "name": "Tom"}
        session = await tom.call("POST", "/sign-up", account | {"invitation": invitation["token"]})
        tom.token = session["access_token"]
        talk = await ada.call(
            "POST", "/conversations", {"kind": "group", "participants": [session["me"]["principal"]["id"]]}
        )
        path = f"/conversations/{talk['id']}/messages"
        run = await start(conversation=talk["id"], title="Send it?")

        async def said(after):
            page = await ada.call("GET", f"{path}?since={after}")
            return page["items"][0] if page["items"] else None

        async def answer(who, text):
            """What somebody is told who replies so."""
            posted = await who.call("POST", path, {"text": text, "reply_to": asked["seq"]})
            return await said(posted["seq"])

        asked = await eventually(lambda: said(0), within_s=5)
        [part] = asked["parts"]
        assert (part["kind"], part["title"], part["content"]["kind"]) == ("ask", "Send it?", "approval")
        assert await answer(tom, "Should we?") is None
        assert (await answer(tom, "yes"))["text"] == "This is not yours to answer."
        unclear = await answer(ada, "Yes, but only to Tom")
        assert "`approve`, `deny`" in unclear["text"]
        assert (await ada.call("GET", f"/runs/{run['id']}"))["state"] in ("running", "waiting")
        path_of_notice = f"{path}/{unclear['seq']}"
        await ada.call("PATCH", path_of_notice, {"text": "Do you like cake?"})
        posted = await ada.call("POST", path, {"text": "yes", "reply_to": unclear["seq"]})
        assert await said(posted["seq"]) is None
        with monkeypatch.context() as dying:
            dying.setattr(asked_service, "heed", None)
            with pytest.raises(Problem):
                await ada.call("POST", path, {"text": "yes", "reply_to": asked["seq"]})
        [left] = [each["seq"] for each in (await ada.call("GET", f"{path}?limit=1"))["items"]]
        assert await left_behind(mesh) == [left]
        again = await eventually(lambda: said(left), within_s=10)
        assert (again["text"], again["reply_to"]) == (AGAIN, left)
        told = await answer(ada, " Yes! ")
        assert (told["text"], told["reply_to"] > unclear["seq"]) == ("Answered: `approve`.", True)
        assert "no answer any more" in (await answer(ada, "no"))["text"]
        with pytest.raises(Problem):
            await ada.call("POST", path, {"parts": [{"kind": "ask", "content": part["content"]}]})

    assert await left_behind(mesh) == []
    await output(run)
    sheet = await ada.call("GET", f"/asks/{part['content']['ask_id']}")
    assert (sheet["answer"]["decision"], sheet["answer"]["via"]) == ("approve", "message")


@pytest.fixture
async def sarah(ada, address):
    """An agent of Ada's."""
    made = await ada.call("POST", "/agents", {"key": "sarah", "name": "Sarah"})
    async with Api(address) as api:
        given = {key: made[key] for key in ("client_id", "client_secret")}
        api.token = (await api.call("POST", "/token", given))["access_token"]
        yield api


async def asked_of(api, run_id, state="open"):
    async def look():
        return (await api.call("GET", f"/asks?run_id={run_id}&state={state}"))["items"]

    return (await eventually(look, within_s=5))[0]


async def test_who_answers_done_takes_the_conversation_and_gives_it_back(ada, sarah):
    me = (await ada.call("GET", "/me"))["principal"]["id"]
    agent = (await sarah.call("GET", "/me"))["principal"]["id"]
    talk = await ada.call("POST", "/conversations/direct", {"principal_id": agent})
    assert talk["responsible_id"] == agent
    handing = {"to": {"kind": "role", "role": "owner"}, "reason": "A refund", "summary": "Charged twice"}

    begun = await sarah.call("POST", f"/conversations/{talk['id']}/handoffs", handing)
    ask = await asked_of(ada, begun["id"])
    sheet = await ada.call("GET", f"/asks/{ask['id']}")
    await ada.call("POST", f"/asks/{ask['id']}/answer", {"decision": "done"})

    async def responsible():
        return (await ada.call("GET", f"/conversations/{talk['id']}"))["responsible_id"]

    async def taken():
        return await responsible() == me

    await eventually(taken, within_s=5)
    assert (ask["kind"], ask["title"], sheet["text"]) == ("handoff", "A refund", "Charged twice")
    returned = await ada.call("POST", f"/handoffs/{begun['id']}/return", {"note": "Refunded"})
    assert (returned["state"], await responsible()) == ("returned", agent)

    again = await sarah.call("POST", f"/conversations/{talk['id']}/handoffs", handing)
    await asked_of(ada, again["id"])
    await ada.call("POST", f"/handoffs/{again['id']}/claim", {})
    # Whoever claims it by itself has nothing to answer any more.
    await asked_of(ada, again["id"], "withdrawn")

    async def told():
        page = await ada.call("GET", "/audit?limit=100")
        actions = [each["action"] for each in page["items"] if each["subject"] == begun["id"]]
        return {"handoff.waiting", "handoff.claimed", "handoff.returned"} <= set(actions)

    await eventually(told, within_s=5)


async def test_who_an_agent_has_asked_is_asked_although_the_agent_is_stopped(ada, sarah, mesh):
    me = (await ada.call("GET", "/me"))["principal"]["id"]
    agent = (await sarah.call("GET", "/me"))["principal"]["id"]
    talk = await ada.call("POST", "/conversations/direct", {"principal_id": agent})
    handing = {"to": {"kind": "principal", "id": me}, "reason": "I am not sure of myself"}
    begun = await sarah.call("POST", f"/conversations/{talk['id']}/handoffs", handing)
    ask = await asked_of(ada, begun["id"])

    await ada.call("POST", "/agents/sarah/suspend", {})

    async def heard():
        async with mesh.running["runtime"].kernel.database.across_orgs() as tx:
            query = "select true from runtime.stopped_agents where agent_id = $1::text::uuid"
            return await tx.value(query, agent)

    await eventually(heard, within_s=5)
    await ada.call("POST", f"/asks/{ask['id']}/answer", {"decision": "done"})

    async def taken():
        return (await ada.call("GET", f"/conversations/{talk['id']}"))["responsible_id"] == me

    await eventually(taken, within_s=5)
