"""The clients on a real mesh: a call, a refusal, a run followed to its end through a cut; in Python, in Node and in a page."""

from __future__ import annotations

import asyncio
import json
import shutil
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path
from uuid import UUID

import pytest

from polis.client import Polis, Problem
from polis.proto.messaging import CreateConversation
from polis.proto.runtime import GetRun, StartRun
from polis.testing import eventually
from tests.chaos.proxy import Proxy
from tests.e2e.chromium import browsing, needs_chromium
from tests.e2e.world import new_key

ROOT = Path(__file__).parents[2]
NODE = shutil.which("node")
INVALID = {"type": "/problems/invalid", "status": 422, "at": ["/graph"]}
NO_RUN = {"type": "/problems/runtime/run-not-found", "status": 404, "at": []}


@pytest.fixture
async def proxy(address):
    async with Proxy("127.0.0.1", int(address.rpartition(":")[2])) as proxy:
        yield proxy


@pytest.fixture
async def graph(ada):
    """A graph that asks on its way."""
    content = {
        "nodes": {
            "first": {"component": "passthrough"},
            "ask": {
                "component": "ask",
                "config": {"kind": "approval", "title": "May I?", "to": [{"role": "owner"}]},
            },
            "last": {"component": "passthrough"},
        },
        "edges": [
            {"source": "first.out", "target": "ask.in"},
            {"source": "ask.out", "target": "last.in"},
        ],
        "inputs": {"value": {"target": "first.in", "required": False, "default": 1}},
        "outputs": {"value": {"source": "last.out"}},
    }
    made = await ada.call("POST", "/resources", {"type": "graph", "key": new_key(), "content": content})
    await ada.call("POST", f"/resources/{made['id']}/versions", {})
    await ada.call("PUT", f"/resources/{made['id']}/activations/production", {"number": 1})
    return made["key"]


async def followed_through_a_cut(ada, proxy, said: asyncio.Queue) -> None:
    """Cut the client off while the run waits, end the run behind its back, and hear what it makes of that."""

    async def hear():
        return await asyncio.wait_for(said.get(), 30)

    assert await hear() == INVALID
    started = await hear()
    assert started["run"] == started["again"]
    changes = [await hear()]
    while (changes[-1]["data"].get("step") or {}).get("state") != "waiting":
        changes.append(await hear())
    proxy.cut()
    await answer(ada, started["run"])
    proxy.heal()
    while "kind" in (heard := await hear()):
        changes.append(heard)

    assert {change["kind"] for change in changes} == {"change"}
    timeline = await ada.call("GET", f"/runs/{started['run']}/snapshot?after=0")
    assert [change["data"] for change in changes] == timeline["transitions"]
    assert heard == {"state": "succeeded"}
    assert await hear() == NO_RUN
    assert await hear() == {"told": {"seq": 3, "entry": {"message": {"text": "hällo"}}}}


async def answer(ada, run_id):
    async def asked():
        return (await ada.call("GET", f"/asks?run_id={run_id}"))["items"]

    async def over():
        return (await ada.call("GET", f"/runs/{run_id}"))["state"] == "succeeded"

    (ask,) = await eventually(asked)
    await ada.call("POST", f"/asks/{ask['id']}/answer", {"decision": "approve"})
    await eventually(over)


async def test_the_python_client_follows_a_run_through_a_cut_and_is_told_when_its_session_ends(
    ada, proxy, graph
):
    said = asyncio.Queue()

    async def signed_out(polis):
        async for _ in polis.follow("asks"):
            await ada.call("POST", "/sign-out")

    async def story():
        async with Polis(f"http://127.0.0.1:{proxy.port}", ada.token) as polis:
            with pytest.raises(Problem) as refused:
                await polis.call(StartRun(graph="No Name"))
            said.put_nowait(_told(refused.value))
            run = await polis.call(StartRun(graph=graph), idempotency_key="once")
            again = await polis.call(StartRun(graph=graph), idempotency_key="once")
            said.put_nowait({"run": str(run.id), "again": str(again.id)})
            async for change in polis.follow(f"run/{run.id}", after=0):
                said.put_nowait({"kind": change.kind, "data": change.data})
            said.put_nowait({"state": (await polis.call(GetRun(run_id=run.id))).state})
            with pytest.raises(Problem) as refused:
                await anext(polis.follow("run/00000000-0000-4000-8000-000000000000"))
            said.put_nowait(_told(refused.value))
            said.put_nowait(await _talk(polis))
            with pytest.raises(Problem) as refused:
                await signed_out(polis)
            assert refused.value.status == 401

    async with asyncio.TaskGroup() as group:
        group.create_task(story())
        await followed_through_a_cut(ada, proxy, said)


async def test_what_is_posted_through_cuts_is_said_once_and_told_once_in_order(ada, proxy, monkeypatch):
    monkeypatch.setattr("polis.client.pauses._FIRST_S", 0.02)
    room = UUID((await ada.call("POST", "/conversations", {"kind": "group"}))["id"])
    texts = [[f"{poster}.{n}" for n in range(10)] for poster in range(4)]
    told: list[tuple[int, str]] = []

    async def post(some, polis):
        for text in some:
            await polis.post(room, text)

    async with Polis(f"http://127.0.0.1:{proxy.port}", ada.token) as polis, asyncio.TaskGroup() as group:
        for some in texts:
            group.create_task(post(some, polis))
        async for change in polis.follow(f"conversation/{room}", after=0):
            if message := change.data["entry"].get("message"):
                told.append((change.seq, message["text"]))
                if len(told) % 8 == 0:
                    proxy.cut()
                    proxy.heal()
            if len(told) == 40:
                break

    first = told[0][0]
    assert [seq for seq, _ in told] == list(range(first, first + 40))
    assert sorted(text for _, text in told) == sorted(text for some in texts for text in some)
    assert (await ada.call("GET", f"/conversations/{room}"))["head_seq"] == first + 39


async def _talk(polis: Polis) -> dict:
    room = await polis.call(CreateConversation(kind="group"))
    wanted = {"kinds": ["posted"], "fields": ["entry.message.text"]}
    async for change in polis.follow(f"conversation/{room.id}", **wanted):
        if change.kind == "change":
            return {"told": change.data}
        await polis.typing(room.id)
        await polis.post(room.id, "hällo")
    raise AssertionError("it ended")


def _told(problem: Problem) -> dict:
    return {
        "type": problem.type,
        "status": problem.status,
        "at": [fault["pointer"] for fault in problem.faults],
    }


@pytest.mark.skipif(NODE is None, reason="no Node on this machine")
async def test_the_javascript_client_does_what_its_own_tests_say():
    node = await asyncio.create_subprocess_exec(
        NODE, "--test", str(ROOT / "clients/typescript/tests"), stdout=PIPE, stderr=STDOUT
    )
    told, _ = await node.communicate()

    assert node.returncode == 0, told.decode()


@pytest.mark.skipif(NODE is None, reason="no Node on this machine")
async def test_the_javascript_client_follows_a_run_through_a_cut_in_node(ada, proxy, graph):
    given = {"url": f"http://127.0.0.1:{proxy.port}", "token": ada.token, "graph": graph}
    program = str(ROOT / "tests/e2e/clients/node.js")
    node = await asyncio.create_subprocess_exec(NODE, program, json.dumps(given), stdout=PIPE)
    said = asyncio.Queue()

    async def listen():
        async for line in node.stdout:
            said.put_nowait(json.loads(line))

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(listen())
            await followed_through_a_cut(ada, proxy, said)
        assert await asyncio.wait_for(node.wait(), 30) == 0
    finally:
        if node.returncode is None:
            node.kill()
        await node.wait()


@needs_chromium
async def test_the_javascript_client_follows_through_cuts_in_a_page_by_cookies_and_by_tickets(
    ada, proxy, graph
):
    said, folder = asyncio.Queue(), ROOT / "clients/typescript"
    origin = f"http://127.0.0.1:{proxy.port}"
    parts = {"/client": folder, "/story": ROOT / "tests/e2e/clients"}

    async def serve(route):
        _, place, name = route.request.url.removeprefix(origin).split("/", 2)
        await route.fulfill(path=parts[f"/{place}"] / name, content_type="text/javascript")

    async with browsing() as browser:
        page = await browser.new_page()
        for place in parts:
            await page.route(f"{origin}{place}/**", serve)
        await page.expose_function("say", said.put_nowait)
        await page.goto(origin)
        given = {"graph": graph, "account": {"email": ada.email, "password": ada.password}}
        async with asyncio.TaskGroup() as group:
            group.create_task(page.evaluate(IN_THE_PAGE, given))
            await followed_through_a_cut(ada, proxy, said)
            assert await asyncio.wait_for(said.get(), 30) == {
                "type": "/problems/unauthenticated",
                "status": 401,
                "at": [],
            }
        await _by_tickets(page, ada.token, proxy, said)


async def _by_tickets(page, token: str, proxy, said: asyncio.Queue) -> None:
    """Its session has ended: what opens sockets now is the token, which stands in none of their addresses."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda opened: asked.append(opened.url))
    live = f"127.0.0.1:{proxy.port}/api/v1/live"

    async with asyncio.TaskGroup() as group:
        group.create_task(page.evaluate(BY_TICKETS, token))
        assert await asyncio.wait_for(said.get(), 30) == {"kind": "snapshot"}
        proxy.cut()
        proxy.heal()
        assert await asyncio.wait_for(said.get(), 30) == {"kind": "snapshot"}
        assert await asyncio.wait_for(said.get(), 30) == {
            "told": {"seq": 3, "entry": {"message": {"text": "hällo"}}}
        }

    assert asked.count(f"ws://{live}") == 2
    assert asked.count(f"http://{live}/tickets") >= 2
    assert [url for url in asked if "live?" in url or token in url] == []


IN_THE_PAGE = """async (given) => {
    const client = await import("/client/src/index.js");
    const { story } = await import("/story/story.js");
    await story(client, {}, { ...given, say: window.say });
}"""
BY_TICKETS = """async (token) => {
    const client = await import("/client/src/index.js");
    const { ticketed } = await import("/story/story.js");
    await ticketed(client, { token }, window.say);
}"""


@pytest.fixture
async def ada(api):
    """A user of whom the page knows the password."""
    api.email, api.password = await api.sign_up(name="Ada")
    return api
