"""Following a run over WebSocket and SSE: snapshot, every transition once and in order, end; resumed behind any cursor."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path

import aiohttp
import msgspec
import pytest
from rich.console import Console

from polis.cli import runs
from polis.cli.api import Api, Problem
from polis.proto.live import MSGPACK_PROTOCOL
from polis.testing import eventually

SAMPLE = Path(__file__).parent.parent.parent / "samples" / "mailbox.mbox"


@pytest.fixture
async def start(ada):
    """Starts a digest of the sample mailbox; its run."""
    artifact = await ada.upload(SAMPLE, name="mailbox.mbox", media_type="application/mbox")
    await ada.call("POST", "/agents", {"key": "sarah", "name": "Sarah"})

    async def start():
        mailbox = {"artifact_id": artifact["id"], "name": "mailbox.mbox"}
        return await ada.call(
            "POST", "/runs", {"graph": "email-digest", "agent": "sarah", "input": {"mailbox": mailbox}}
        )

    return start


def numbers(frames: list[dict]) -> list[int]:
    """The numbers of all transitions in the order in which they came."""
    return [
        transition["seq"]
        for frame in frames
        for transition in (
            frame["data"] if frame["op"] == "events" else frame.get("data", {}).get("transitions", [])
        )
    ]


async def follow(api: Api, run_id: str, after: int | None) -> list[dict]:
    return [frame async for frame in api.follow(f"run/{run_id}", after=after)]


async def test_a_run_is_followed_from_its_start_to_its_end(ada, start):
    run = await start()

    frames = await follow(ada, run["id"], 0)

    assert frames[0]["op"] == "snapshot"
    assert frames[-1]["op"] == "end"
    seen = numbers(frames)
    assert seen == list(range(1, seen[-1] + 1))
    assert frames[-1]["seq"] == seen[-1]
    assert (await ada.call("GET", f"/runs/{run['id']}"))["state"] == "succeeded"


async def test_every_cursor_is_resumed_with_no_gap_and_no_duplicate(ada, start):
    run = await start()
    whole = numbers(await follow(ada, run["id"], 0))

    for cursor in range(len(whole)):
        rest = await follow(ada, run["id"], cursor)
        assert rest[0]["data"]["recovered"]
        assert numbers(rest) == whole[cursor:]


async def test_watchers_that_are_cut_again_and_again_miss_nothing(ada, start, address):
    run = await start()

    async def watch(cut_after: int) -> list[int]:
        seen: list[int] = []
        while True:
            async with (
                aiohttp.ClientSession() as http,
                http.ws_connect(
                    f"{address}/api/v1/live", headers={"Authorization": f"Bearer {ada.token}"}
                ) as socket,
            ):
                last = seen[-1] if seen else 0
                await socket.send_json({"op": "subscribe", "topic": f"run/{run['id']}", "after": last})
                for _ in range(cut_after):
                    frame = await socket.receive_json(timeout=30)
                    seen += numbers([frame])
                    if frame["op"] == "end":
                        return seen

    everyone = await asyncio.gather(*(watch(1 + n % 3 + 1) for n in range(10)))

    assert all(seen == list(range(1, seen[-1] + 1)) for seen in everyone)
    assert len({seen[-1] for seen in everyone}) == 1


async def test_server_sent_events_tell_the_same_and_resume_by_their_id(ada, start, address):
    run = await start()
    whole = numbers(await follow(ada, run["id"], 0))

    async def events(last: int | None) -> list[tuple[str, str]]:
        headers = {"Authorization": f"Bearer {ada.token}"} | (
            {"Last-Event-ID": str(last)} if last is not None else {}
        )
        url = f"{address}/api/v1/live?topic=run/{run['id']}"
        async with aiohttp.ClientSession() as http, http.get(url, headers=headers) as answer:
            assert answer.headers["content-type"] == "text/event-stream"
            text = (await answer.read()).decode()
        fields = [
            dict(line.split(": ", 1) for line in block.split("\n")) for block in text.strip().split("\n\n")
        ]
        return [(f["event"], f["data"]) for f in fields]

    told = await events(3)

    assert told[0][0] == "snapshot"
    assert told[-1][0] == "end"
    transitions = json.loads(told[0][1])["transitions"] + [
        json.loads(d) for e, d in told if e == "transition"
    ]
    assert [t["seq"] for t in transitions] == whole[3:]


async def test_what_a_step_says_is_told_to_who_follows_its_run_and_read_afterwards(ada, start, address):
    content = {
        "nodes": {
            "rest": {"component": "signal", "config": {"name": "go"}},
            "say": {
                "component": "log",
                "config": {"message": "rested", "expression": "item", "level": "success"},
            },
        },
        "edges": [{"source": "rest.out", "target": "say.in"}],
        "inputs": {"x": {"target": "rest.in"}},
        "outputs": {"y": {"source": "say.out"}},
    }
    await _published(ada, "says", content)
    run = await ada.call("POST", "/runs", {"graph": "says", "input": {"x": 1}})
    stream = f"{address}/api/v1/live?topic=run/{run['id']}"
    wanted = f"{stream}&kinds=log&kinds=succeeded"

    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {ada.token}"}) as http,
        http.ws_connect(f"{address}/api/v1/live") as socket,
        http.get(wanted) as answer,
        http.get(stream) as plain,
    ):
        await socket.send_json({"op": "subscribe", "topic": f"run/{run['id']}", "kinds": ["log"]})
        assert (await socket.receive_json(timeout=30))["op"] == "snapshot"
        await ada.call(
            "POST", f"/runs/{run['id']}/signals", {"name": "go", "payload": {"n": 1, "token": "t"}}
        )
        told = []
        while (frame := await socket.receive_json(timeout=30))["op"] != "end":
            told += frame["data"] if frame["op"] == "events" else []
        streamed, without = [(await each.read()).decode() for each in (answer, plain)]

    (line,) = (await ada.call("GET", f"/runs/{run['id']}/log"))["items"]
    assert [each["log"] for each in told] == [line]
    assert (line["number"], line["step"], line["level"], line["message"]) == (1, "say", "success", "rested")
    assert line["value"] == {"n": 1, "token": {"redacted": "secret"}}
    assert [text.count("event: log\n") for text in (streamed, without)] == [1, 0]


async def test_a_line_of_another_level_is_refused_with_the_graph(ada):
    content = {
        "nodes": {"say": {"component": "log", "config": {"level": "loud"}}},
        "inputs": {"x": {"target": "say.in"}},
    }
    with pytest.raises(Problem) as refusal:
        await _published(ada, "loud", content)

    assert [fault["pointer"] for fault in refusal.value.content["faults"]] == ["/nodes/say/config/level"]


async def test_another_org_cannot_follow_it(ada, start, address):
    run = await start()
    async with Api(address) as eve:
        await eve.sign_up(name="Eve")

        with pytest.raises(Problem) as refusal:
            await follow(eve, run["id"], None)

    assert refusal.value.content["type"] == "/problems/runtime/run-not-found"


async def test_nobody_cannot_even_connect(address):
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
            await http.ws_connect(f"{address}/api/v1/live")

    assert refusal.value.status == 401


async def test_a_page_of_another_origin_cannot_connect(ada, address):
    headers = {"Authorization": f"Bearer {ada.token}", "Origin": "https://evil.example"}
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
            await http.ws_connect(f"{address}/api/v1/live", headers=headers)

    assert refusal.value.status == 403


@pytest.mark.parametrize(
    "words",
    [
        "nonsense",
        '{"op": "dance"}',
        '{"op": "subscribe"}',
        '{"op": "subscribe", "topic": "x", "y": 1}',
        f'{{"op": "call", "id": 1, "name": "PostMessage", "request": {"[" * 9_000}{"]" * 9_000}}}',
        msgspec.msgpack.encode({"op": "unsubscribe", "topic": "?"}).replace(b"?", b"\xff"),
    ],
    ids=["nonsense", "unknown", "without a topic", "a field too many", "too deep", "no UTF-8"],
)
async def test_what_is_not_understood_closes_the_socket_with_its_code_and_says_what(ada, address, words):
    send, protocol = ("send_bytes", MSGPACK_PROTOCOL) if isinstance(words, bytes) else ("send_str", "")
    headers = {"Authorization": f"Bearer {ada.token}"}
    async with aiohttp.ClientSession() as http:
        socket = await http.ws_connect(f"{address}/api/v1/live", headers=headers, protocols=(protocol,))
        await getattr(socket, send)(words)
        goodbye = await socket.receive(timeout=30)

        assert socket.close_code == 4400
        assert goodbye.extra


async def test_an_unknown_topic_is_refused_and_the_socket_lives_on(ada, start, address):
    run = await start()
    async with aiohttp.ClientSession() as http:
        socket = await http.ws_connect(
            f"{address}/api/v1/live", headers={"Authorization": f"Bearer {ada.token}"}
        )
        await socket.send_json({"op": "subscribe", "topic": "weather/today"})
        refused = await socket.receive_json(timeout=30)
        await socket.send_json({"op": "subscribe", "topic": f"run/{run['id']}"})
        followed = await socket.receive_json(timeout=30)
        await socket.close()

    assert refused["problem"]["faults"][0]["pointer"] == "/topic"
    assert followed["op"] == "snapshot"


async def test_a_socket_is_closed_when_its_session_ends(ada, address):
    async with aiohttp.ClientSession() as http:
        socket = await http.ws_connect(
            f"{address}/api/v1/live", headers={"Authorization": f"Bearer {ada.token}"}
        )
        await ada.call("POST", "/sign-out")

        async def closed():
            await socket.receive(timeout=30)
            return socket.close_code

        assert await eventually(closed, within_s=5) == 4401


@pytest.mark.parametrize("digits", [20, 5000])
async def test_a_number_that_no_topic_has_is_refused(ada, address, digits):
    headers = {"Authorization": f"Bearer {ada.token}", "Last-Event-ID": "9" * digits}
    url = f"{address}/api/v1/live?topic=asks"
    async with aiohttp.ClientSession() as http, http.get(url, headers=headers) as answer:
        problem = await answer.json(content_type="application/problem+json")

    assert (answer.status, problem["faults"][0]["pointer"]) == (422, "/after")


async def test_server_sent_events_end_with_their_session(ada, address):
    url, headers = f"{address}/api/v1/live?topic=asks", {"Authorization": f"Bearer {ada.token}"}
    async with aiohttp.ClientSession() as http, http.get(url, headers=headers) as answer:
        assert (await answer.content.readline()).startswith(b"id: ")
        await ada.call("POST", "/sign-out")

        async with asyncio.timeout(30):
            await answer.read()


async def test_the_command_follows_a_run_and_what_it_did_is_seen_and_made_again(ada, capsys, tmp_path):
    content = {
        "nodes": {"all": {"component": "split"}, "say": {"component": "log"}},
        "edges": [{"source": "all.out", "target": "say.in"}],
        "inputs": {"items": {"target": "all.in"}},
        "outputs": {"said": {"source": "say.out", "many": True}},
        "record": "effects",
    }
    await _published(ada, "said", content)
    (tmp_path / "input.json").write_text('{"items": [{"n": 1, "token": "t"}]}')
    console = Console(file=io.StringIO(), width=200)

    code = await runs.run(
        ada, runs.Wish("said", str(tmp_path / "input.json"), tags=("told",), follow=True), console
    )

    assert code == runs.SUCCEEDED, console.file.getvalue()
    printed = capsys.readouterr().out  # behind what the services log
    assert json.loads(printed[printed.index("{\n") :]) == {"said": [{"n": 1, "token": "t"}]}
    assert "succeeded  say" in console.file.getvalue()
    (run,) = (await ada.call("GET", "/runs?tag=told"))["items"]
    timeline = await ada.call("GET", f"/runs/{run['id']}/timeline")
    (attempt,) = next(step["attempts"] for step in timeline["attempts"] if step["node"] == "say")
    assert attempt["inputs"] == {"in": {"n": 1, "token": {"redacted": "secret"}}}
    picture = await ada.call("GET", f"/runs/{run['id']}/picture?format=mermaid")
    assert "n0 --> n1" in picture["content"]
    async with ada._http.get(
        f"{ada.address}/api/v1/runs/{run['id']}/drawing", headers=ada._headers
    ) as answer:
        assert answer.headers["content-type"] == "image/svg+xml; charset=utf-8"
        assert "sandbox" in answer.headers["content-security-policy"]
        assert (await answer.text()).startswith("<svg ")
    again = await ada.call("POST", f"/runs/{run['id']}/rerun", {"step": "say"})
    assert (again["origin"]["run_id"], again["origin"]["step"]) == (run["id"], "say")
    await eventually(lambda: _ended(ada, again["id"]))
    assert await ada.call("DELETE", f"/runs/{run['id']}") is None
    assert [found["id"] for found in (await ada.call("GET", "/runs?tag=told"))["items"]] == [again["id"]]


async def _published(api: Api, key: str, content: dict) -> None:
    made = await api.call("POST", "/resources", {"type": "graph", "key": key, "content": content})
    await api.call("POST", f"/resources/{made['id']}/versions", {})
    await api.call("PUT", f"/resources/{made['id']}/activations/production", {"number": 1})


async def _ended(api: Api, run_id: str) -> bool:
    return (await api.call("GET", f"/runs/{run_id}"))["state"] == "succeeded"
