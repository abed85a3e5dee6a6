"""Following a conversation over WebSocket and SSE: every entry once and in order, resumed anywhere, over for who is removed."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID

import aiohttp
import asyncpg
import pytest

from polis.cli.api import Api, Problem
from polis.client import Polis
from polis.messaging.notifications import clock
from polis.testing import eventually
from tests.chaos.proxy import Proxy
from tests.e2e.world import new_key


class Socket:
    """One client of the live edge, which follows one conversation."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse, topic: str) -> None:
        self._ws = ws
        self._topic = topic
        self.changes: list[dict] = []

    async def subscribe(self, after: int | None = None) -> dict:
        await self._ws.send_json({"op": "subscribe", "topic": self._topic, "after": after})
        return await self.frame()

    async def frame(self) -> dict:
        return await self._ws.receive_json(timeout=30)

    async def until(self, wanted) -> dict:
        """The first change of which this holds."""
        while True:
            for change in (await self.frame())["data"]:
                self.changes.append(change)
                if wanted(change):
                    return change

    @property
    def numbers(self) -> list[int]:
        return [change["seq"] for change in self.changes if change.get("entry")]


@pytest.fixture
async def tom(ada, address):
    """Somebody whom Ada has invited into her org."""
    invitation = await ada.call("POST", "/invitations", {"email": f"{new_key()}@example.org"})
    async with Api(address) as api:
        account = {"email": invitation["email"], "password": "long enough", "name": "Tom"}
        session = await api.call("POST", "/sign-up", account | {"invitation": invitation["token"]})
        api.token = session["access_token"]
        yield api


@pytest.fixture
async def group(ada, tom):
    me = (await tom.call("GET", "/me"))["principal"]["id"]
    made = await ada.call("POST", "/conversations", {"kind": "group", "participants": [me]})
    return made | {"path": f"/conversations/{made['id']}", "topic": f"conversation/{made['id']}", "tom": me}


@pytest.fixture
async def follow(address):
    async with aiohttp.ClientSession() as http:

        async def follow(api, topic):
            headers = {"Authorization": f"Bearer {api.token}"}
            return Socket(await http.ws_connect(f"{address}/api/v1/live", headers=headers), topic)

        yield follow


async def say(api, group, *texts):
    return [await api.call("POST", f"{group['path']}/messages", {"text": text}) for text in texts]


async def test_what_is_said_reaches_who_follows_once_and_in_order_wherever_they_resume(
    ada, tom, group, follow
):
    socket = await follow(tom, group["topic"])
    snapshot = await socket.subscribe()
    numbered = count(snapshot["seq"] + 1)

    posted = await say(ada, group, "one", "two", "three")
    await ada.call("PATCH", f"{group['path']}/messages/{posted[0]['seq']}", {"text": "first"})
    last = await socket.until(lambda change: (change.get("entry") or {}).get("kind") == "edited")

    assert socket.numbers == [next(numbered) for _ in range(4)]
    assert last["entry"]["message"]["text"] == "first"
    for cursor in range(last["seq"]):
        resumed = (await (await follow(tom, group["topic"])).subscribe(after=cursor))["data"]
        assert resumed["recovered"]
        assert [e["seq"] for e in resumed["entries"]] == list(range(cursor + 1, last["seq"] + 1))


async def test_who_is_removed_is_told_so_and_hears_nothing_more(ada, tom, group, follow):
    socket = await follow(tom, group["topic"])
    await socket.subscribe()

    await ada.call("DELETE", f"{group['path']}/participants/{group['tom']}")
    await say(ada, group, "between us")

    removed = await socket.until(lambda change: (change.get("entry") or {}).get("kind") == "participant")
    assert removed["entry"]["participant"]["state"] == "removed"
    end = await socket.frame()
    assert (end["op"], end["problem"]["status"]) == ("problem", 404)
    again = await socket.subscribe(after=1)
    assert again["problem"]["type"] == "/problems/messaging/conversation-not-found"


async def test_a_grant_opens_a_conversation_and_ends_what_is_followed_by_it_when_it_is_taken(
    ada, tom, address, follow
):
    made = await ada.call("POST", "/conversations", {"kind": "group"})
    socket = await follow(tom, f"conversation/{made['id']}")
    assert (await socket.subscribe())["problem"]["status"] == 404
    me = (await tom.call("GET", "/me"))["principal"]["id"]
    grant = await ada.call(
        "POST",
        "/grants",
        {
            "holder": {"kind": "principal", "id": me},
            "verb": "messaging:read",
            "resource": f"conversation/{made['id']}",
        },
    )
    assert (await socket.subscribe())["op"] == "snapshot"

    await ada.call("DELETE", f"/grants/{grant['id']}")

    async with asyncio.timeout(30):
        assert (await socket.frame())["op"] == "problem"


async def test_who_is_added_invited_or_removed_is_told_at_once_and_anew_behind_a_cut(
    ada, tom, group, address
):
    def told(change):
        part = change.data["participation"] or {}
        return part.get("conversation_id") or change.data["left"], part.get("role"), part.get("state")

    async with (
        Proxy("127.0.0.1", int(address.rpartition(":")[2])) as proxy,
        Polis(f"http://127.0.0.1:{proxy.port}", tom.token) as polis,
    ):
        changes = polis.follow("conversations")
        first = await anext(changes)
        made = await ada.call("POST", "/conversations", {"kind": "group", "participants": [group["tom"]]})
        assert told(await anext(changes)) == (made["id"], "member", "joined")
        other = await ada.call("POST", "/conversations", {"kind": "group"})
        body = {"principal_id": group["tom"], "role": "admin", "invite": True}
        await ada.call("POST", f"/conversations/{other['id']}/participants", body)
        assert told(await anext(changes)) == (other["id"], "admin", "invited")
        await ada.call("DELETE", f"{group['path']}/participants/{group['tom']}")
        assert told(await anext(changes)) == (group["id"], None, None)
        proxy.cut()
        proxy.heal()
        again = await anext(changes)
        await changes.aclose()

    assert [each["conversation_id"] for each in first.data["participations"]] == [group["id"]]
    assert again.kind == "snapshot"
    assert {each["conversation_id"] for each in again.data["participations"]} == {made["id"], other["id"]}


async def test_typing_marks_and_presence_are_heard_and_take_no_number(ada, tom, group, follow):
    socket = await follow(tom, group["topic"])
    seq = (await socket.subscribe())["seq"]

    await ada.call("POST", f"{group['path']}/typing", {})
    await ada.call("POST", f"{group['path']}/marks", {"read_seq": seq})
    await ada.call("POST", "/presence", {"state": "busy"})
    await socket.until(lambda change: change.get("presence"))

    assert {
        key for change in socket.changes for key in ("typing", "mark", "presence") if change.get(key)
    } == {
        "typing",
        "mark",
        "presence",
    }
    assert {change["seq"] for change in socket.changes} == {seq}
    assert [p["state"] for p in (await tom.call("GET", f"{group['path']}/presence"))["items"]] == ["busy"]


async def test_server_sent_events_tell_the_same(ada, tom, group, address):
    await say(ada, group, "one")
    topic = group["topic"]
    headers = {"Authorization": f"Bearer {tom.token}", "Last-Event-ID": "3"}

    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{address}/api/v1/live?topic={topic}", headers=headers) as answer,
    ):
        lines = answer.content
        told = []
        await say(ada, group, "two")
        async with asyncio.timeout(30):
            async for line in lines:
                if line.startswith(b"data: "):
                    told.append(json.loads(line.removeprefix(b"data: ")))
                if len(told) == 2 or (told and len(told[0]["entries"]) == 2):
                    break

    entries = [*told[0]["entries"], *(change["entry"] for change in told[1:])]
    assert [entry["message"]["text"] for entry in entries] == ["one", "two"]
    assert [entry["seq"] for entry in entries] == [4, 5]


SAYING = {
    "nodes": {"say": {"component": "conversation.stream", "config": {"by": "word", "pace_ms": 10}}},
    "inputs": {"message": {"target": "say.message"}, "text": {"target": "say.in"}},
}


async def test_a_run_answers_as_it_speaks_until_who_asked_cancels_both(ada, tom, group, follow):
    made = await ada.call("POST", "/resources", {"type": "graph", "key": "saying", "content": SAYING})
    await ada.call("POST", f"/resources/{made['id']}/versions", {})
    await ada.call("PUT", f"/resources/{made['id']}/activations/production", {"number": 1})
    [question] = await say(tom, group, "Why?")
    text = " ".join(f"because{number}" for number in range(2_000))
    message = {"conversation_id": group["id"], "seq": question["seq"]}
    run = await ada.call("POST", "/runs", {"graph": "saying", "input": {"message": message, "text": text}})
    early = await follow(tom, group["topic"])
    await early.subscribe()
    await early.until(lambda change: len((change.get("stream") or {}).get("text", "")) > 0)

    late = await follow(tom, group["topic"])
    [stream] = (await late.subscribe())["data"]["streams"]
    said = stream["text"]
    piece = (await late.until(lambda change: change.get("stream")))["stream"]
    said = said[: piece["at"]] + piece["text"]
    cancelled = await tom.call("POST", f"{group['path']}/control", {"control": {"kind": "cancel"}})

    assert stream["run_id"] == run["id"]
    assert text.startswith(said)
    assert (await ada.call("GET", f"/runs/{run['id']}"))["state"] == "cancelled"
    [outcome] = cancelled["streams"]
    entry = (await late.until(lambda c: (c.get("entry") or {}).get("kind") == "control"))["entry"]
    kept = await ada.call("GET", f"{group['path']}/messages/{outcome['message_seq']}")
    assert entry["control"]["streams"] == [outcome]
    assert (kept["stream"]["state"], kept["stream"]["by"]) == ("cancelled", group["tom"])
    assert (len(kept["text"]), kept["text"]) == (outcome["shown"], text[: outcome["shown"]])


async def test_a_private_file_is_read_by_whom_it_was_sent_to_until_they_are_removed_and_by_whom_they_send_it_on_to(
    ada, tom, group, address
):
    upload = await ada.call("POST", "/uploads", {"name": "a.txt", "size": 3, "visibility": "private"})
    part = f"{address}/api/v1/uploads/{upload['id']}/parts/0"
    async with ada._http.put(part, data=b"abc", headers=ada._headers) as answer:
        assert answer.status == 200
    file = await ada.call("POST", f"/uploads/{upload['id']}/complete", {})

    async def download():
        path = f"{address}/api/v1/artifacts/{file['id']}/content"
        async with tom._http.get(path, headers=tom._headers) as answer:
            return answer.status, await answer.read()

    assert (await download())[0] == 404
    parts = [{"kind": "file", "artifact_id": file["id"]}]
    await ada.call("POST", f"{group['path']}/messages", {"parts": parts})
    assert await download() == (200, b"abc")
    beyond = await tom.call("POST", "/conversations", {"kind": "group"})
    sent = await tom.call("POST", f"/conversations/{beyond['id']}/messages", {"parts": parts})
    await ada.call("DELETE", f"{group['path']}/participants/{group['tom']}")
    assert await download() == (200, b"abc")
    await tom.call("DELETE", f"/conversations/{beyond['id']}/messages/{sent['seq']}")
    assert (await download())[0] == 404


async def test_a_file_is_taken_for_what_it_is_and_not_for_what_it_is_called(ada, group, tmp_path):
    """By its size, its name for it, and its first bytes."""
    told = {}
    for name, media_type, content in (
        ("picture.png", "image/png", b"\x89PNG\r\n\x1a\n" + bytes(40)),
        ("page.png", "image/png", b"<!DOCTYPE html><script>alert(1)</script>"),
        ("report.pdf", "application/pdf", b"\x7fELF" + bytes(60)),
        ("setup.exe", "application/x-msdownload", b"?"),
    ):
        file = tmp_path / name
        file.write_bytes(content)
        artifact = await ada.upload(file, name=name, media_type=media_type)
        message = {"client_id": name, "text": "", "parts": [{"kind": "file", "artifact_id": artifact["id"]}]}
        try:
            posted = await ada.call("POST", f"{group['path']}/messages", message)
            [part] = (await ada.call("GET", f"{group['path']}/messages/{posted['seq']}"))["parts"]
            told[name] = (part["media_type"], part["size"])
        except Problem as refused:
            told[name] = refused.content["reason"]

    assert told == {
        "picture.png": ("image/png", 48),
        "page.png": "it is called image/png, and its bytes are text/html",
        "report.pdf": "it is called application/pdf, and its bytes are application/x-executable",
        "setup.exe": "files of type application/x-msdownload are not taken",
    }


async def test_who_is_away_is_mailed_once_that_something_is_unread_and_not_what(ada, tom, group, mesh):
    """The clock is set by hand; the mail lies in the outbox that administrators read where nobody sends mails."""
    messaging = mesh.running["messaging"].kernel
    database = await asyncpg.connect(mesh.database.admin_url)
    await database.execute(
        "insert into identity.administrators (account_id, since) values ($1, now())",
        UUID((await ada.call("GET", "/me"))["principal"]["id"]),
    )
    await database.close()
    await tom.call("PUT", "/notification-preferences", {"about": ["mentions"], "mail": True})
    await ada.call("POST", group["path"] + "/messages", {"text": "canary", "mentions": [group["tom"]]})

    async def told():
        at = datetime.now(UTC) + timedelta(minutes=3)
        return await clock.turn(messaging.database, messaging.settings, at)

    async def mails():
        return [mail for mail in (await ada.call("GET", "/mails"))["items"] if group["id"] in mail["text"]]

    assert await eventually(told) == 1
    [mail] = await eventually(mails)
    assert mail["subject"] == "A message is unread"
    assert f"/chat#{group['id']}\n" in mail["text"]
    assert "canary" not in str(mail)
    assert await told() == 0
