"""Posts, events and messages, through the gateway, the vault and the catalog: what a sender sees, what a stranger, what an agent answers."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import json
import time
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest
from rich.console import Console

from polis.cli import chat
from polis.cli.api import Problem
from polis.client import Polis
from polis.testing import eventually
from tests.e2e.talking import Heard, talk
from tests.e2e.world import GRAPH, World, new_key

KEY = b"known to both sides"


@pytest.fixture
async def world(mesh, address):
    async with aiohttp.ClientSession() as http:
        world = World(address, http)
        await world._sign_up("owner")
        yield world


async def trigger(world, name, **content):
    key = (await world.resource(active=True, **content))["key"]

    async def look():
        items = (await world.owner("GET", f"/triggers?graph={key}"))["items"]
        return next((item for item in items if item["name"] == name), None)

    return await eventually(look, within_s=10)


def signed(body: bytes, message_id: str, key: bytes = KEY) -> dict[str, str]:
    timestamp = str(int(time.time()))
    digest = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
        "content-type": "application/json",
    }


async def test_a_signed_post_from_outside_gets_the_runs_output_and_a_stranger_sees_nothing(world, address):
    value = "whsec_" + base64.b64encode(KEY).decode()
    secret = await world.owner("POST", "/secrets", {"name": "hook", "value": value, "used_by": ["runtime"]})
    on = {"kind": "webhook", "secret": secret["id"], "wait_s": 10}
    posted = await trigger(world, "posted", triggers={"posted": {"on": on, "into": "value"}})

    async def post(headers, path=posted["hook"], body=b'{"order": 7}'):
        async with world.http.post(address + path, data=body, headers=headers) as answer:
            return answer.status, await answer.json()

    status, taken = await post(signed(b'{"order": 7}', "one"))
    again = await post(signed(b'{"order": 7}', "one"))
    unknown, forged = f"/api/v1/hooks/{uuid4()}", signed(b'{"order": 7}', "two", b"guessed")
    strange = [
        await post(forged),
        await post(signed(b'{"order": 8}', "three")),
        await post(signed(b'{"order": 7}', "four"), path=unknown),
        await post(signed(b'{"order": 7}', "five"), path="/api/v1/hooks/nothing"),
        await post({}),
    ]

    assert (status, taken["state"], taken["output"]) == (200, "succeeded", {"value": {"order": 7}})
    assert again == (status, taken)
    run = await world.owner("GET", f"/runs/{taken['run_id']}")
    assert run["trigger"] == {"id": posted["id"], "occurrence": "one"}
    assert {(code, answer["type"]) for code, answer in strange} == {(404, "/problems/runtime/hook-unknown")}
    assert len({tuple(sorted(answer)) for _, answer in strange}) == 1


async def test_an_event_told_in_the_words_of_older_clients_reaches_the_graph_that_follows_it(world, address):
    on = {"kind": "event", "type": "runtime.event_told", "condition": "event.data.type == 'done'"}
    followed = await trigger(world, "done", triggers={"done": {"on": on, "into": "value"}})
    headers = {"Authorization": f"Bearer {world.tokens['owner']}"}
    body = {"npc": "sarah", "type": "done", "data": {"summary": "all sent"}}

    async def fired():
        async with world.http.post(f"{address}/api/events", json=body, headers=headers) as answer:
            assert answer.status == 202, await answer.text()
        return (await world.owner("GET", f"/triggers/{followed['id']}")).get("last_run_id")

    run_id = await eventually(fired, within_s=10)
    await eventually(lambda: _output(world, run_id), within_s=5)

    value = (await _output(world, run_id))["value"]
    assert (value["type"], value["data"]["agent"]) == ("runtime.event_told", "sarah")
    assert value["data"]["data"] == {"summary": "all sent"}


async def _output(world, run_id):
    status, text = await world.request("owner", "GET", f"/runs/{run_id}/output")
    return json.loads(text)["values"] if status == 200 else None


async def test_a_key_that_may_activate_and_start_nothing_gets_nothing_started(world):
    scopes = ["catalog:read", "catalog:write"]
    world.tokens["key"] = (await world.owner("POST", "/keys", {"name": "K", "scopes": scopes}))["secret"]
    content = {"triggers": {"often": {"on": {"kind": "schedule", "every_s": 1}}}}
    resource = await world.resource(published=True, **content)

    status, text = await world.request(
        "key", "PUT", f"/resources/{resource['id']}/activations/production", {"number": 1}
    )

    assert status == 200, text
    (refused,) = await eventually(lambda: _of(world, resource["key"], "refused"), within_s=15)
    assert (refused["error"]["kind"], refused["fired"]) == ("/problems/forbidden", 0)


async def test_whoever_activated_it_and_is_no_member_any_more_starts_nothing(world):
    cem = await world.new_member(keep_as="cem")
    key = new_key()
    content = GRAPH | {"triggers": {"often": {"on": {"kind": "schedule", "every_s": 1}}}}

    async def as_cem(verb, path, body):
        status, text = await world.request("cem", verb, path, body)
        assert status == 200, text
        return json.loads(text)

    resource = await as_cem("POST", "/resources", {"type": "graph", "key": key, "content": content})
    await as_cem("POST", f"/resources/{resource['id']}/versions", {})
    await as_cem("PUT", f"/resources/{resource['id']}/activations/production", {"number": 1})
    (fired,) = await eventually(lambda: _of(world, key, "fired"), within_s=10)

    await world.owner("DELETE", f"/members/{cem}")

    (refused,) = await eventually(lambda: _of(world, key, "refused"), within_s=15)
    assert (fired["activated_by"], refused["error"]["kind"]) == (
        cem,
        "/problems/identity/principal-not-found",
    )


async def _of(world, key, count):
    items = (await world.owner("GET", f"/triggers?graph={key}"))["items"]
    return [item for item in items if item[count]]


SAMPLE = Path(__file__).parents[2] / "samples" / "mailbox.mbox"


@pytest.fixture
async def ada(api):
    await api.sign_up()
    return api


async def test_echo_is_installed_by_one_call_and_says_what_it_is_told(ada):
    installed = await ada.call("POST", "/assistants/echo/install", {})
    again = await ada.call("POST", "/assistants/echo/install", {})
    echo = await talk(ada, installed)

    said = await echo.say("Hello **there**, how are you?")

    assert again == installed
    assert said == "Hello **there**, how are you?"
    agent = await ada.call("GET", "/agents/echo")
    assert agent["scopes"] == ["messaging:read", "messaging:write", "runtime:read"]


async def test_sarah_reads_the_mailbox_of_the_org_and_tells_what_is_asked(ada):
    artifact = await ada.upload(SAMPLE, name="mailbox.mbox", media_type="application/mbox")
    mailbox = {"artifact_id": artifact["id"], "name": artifact["name"], "size": artifact["size"]}
    with pytest.raises(Problem) as refused:
        await ada.call("POST", "/assistants/sarah/install", {"settings": {"box": 1}})
    installed = await ada.call("POST", "/assistants/sarah/install", {"settings": {"mailbox": mailbox}})
    sarah = await talk(ada, installed)

    new = await sarah.say("What is new?")
    again = await sarah.say("what's new?")
    await ada.call("POST", "/agents", {"key": "tom", "name": "Tom"})
    sent = await sarah.say("send a summary of what is from priya to @tom")

    assert {fault["pointer"] for fault in refused.value.faults} == {"/settings/box", "/settings/mailbox"}
    assert new.startswith("This is what there is:")
    assert new.count("\n- **") >= 2
    assert again.strip() == "There is nothing new."
    assert sent.startswith("From priya:")
    assert sent.endswith("(sent to 1)")
    (run,) = (await ada.call("GET", f"/runs?graph={installed['graph']}&limit=1"))["items"]

    async def percent():
        told = (await ada.call("GET", f"/runs/{run['id']}/statuses"))["statuses"]
        return [each["value"]["percent"] for each in told] == [100]

    async def succeeded():
        return (await ada.call("GET", f"/runs/{run['id']}"))["state"] == "succeeded"

    await eventually(percent, within_s=5)
    await eventually(succeeded, within_s=5)
    other = await ada.upload(Path(__file__), name="no mailbox", media_type="text/plain")
    settings = {"mailbox": {"artifact_id": other["id"]}}
    changed = await ada.call("POST", "/assistants/sarah/install", {"settings": settings})
    assert changed == {**installed, "number": 2}
    assert (await sarah.say("What is new?")).startswith("I cannot read the mailbox: ")


async def test_the_command_installs_an_assistant_and_shows_its_answers_while_they_are_said(ada, address):
    said: list[str] = []
    console = Console(file=io.StringIO())
    async with Polis(address, ada.token) as polis:
        answer = await chat.chat(polis, chat.Wish("echo", "one two three four five six", {}), Heard(said))
        unknown = await chat.chat(polis, chat.Wish("nobody", "hello"), console)

    assert (answer, "".join(said)) == (0, "one two three four five six\n")
    assert len(said) > 2
    assert (unknown, "refused" in console.file.getvalue()) == (1, True)


async def test_who_cancels_what_is_being_said_ends_the_run_that_says_it(ada):
    installed = await ada.call("POST", "/assistants/echo/install", {})
    echo = await talk(ada, installed)
    await ada.call("POST", echo.path, {"text": "word " * 500})

    async def speaks():
        streams = (await ada.call("GET", f"{echo.room}/snapshot"))["streams"]
        return next((each["stream_id"] for each in streams if each["length"]), None)

    stream = await eventually(speaks, within_s=20)
    body = {"control": {"kind": "cancel"}, "stream_id": stream}
    await ada.call("POST", f"{echo.room}/control", body)

    async def ended():
        return (await ada.call("GET", f"/runs?graph={installed['graph']}"))["items"][0][
            "state"
        ] == "cancelled"

    await eventually(ended, within_s=5)
    said = (await ada.call("GET", f"{echo.path}?limit=1"))["items"][0]
    assert (said["sender_id"], said["stream"]["state"]) == (installed["agent_id"], "cancelled")
    assert 0 < len(said["text"]) < 2500
