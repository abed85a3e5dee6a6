"""`polis run --follow` shows a run to its end whatever becomes of the socket, and its exit code is the run's."""

from __future__ import annotations

import io
import json

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from rich.console import Console

from polis.cli import following
from polis.cli.api import Api
from polis.cli.runs import CANCELLED, FAILED, REFUSED, SUCCEEDED, Wish, listed, run, timeline

RUN = "0190c0de-0000-7000-8000-000000000000"


def step(state, node="a"):
    times = {"started_ms": 1, "ended_ms": 26} if state == "succeeded" else {"started_ms": 1, "ended_ms": None}
    return {
        "node": node, "component": "map", "title": "", "activity": "idle", "state": state, "received": 2,
        "emitted": 1, "attempts": 2, "error": None, **times,
    }  # fmt: skip


def described(state):
    error = {"step": "a", "kind": "test.broken", "message": "[red]it broke"} if state == "failed" else None
    ended = "2026-01-01T00:00:01.500Z" if state in following.ENDED else None
    return {
        "id": RUN, "graph": "g", "state": state, "created_at": "2026-01-01T00:00:00Z", "ended_at": ended, "tags": ["t"],
        "error": error,
    }  # fmt: skip


class Gateway:
    """Plays one run: its transitions, of which each socket tells some before it breaks."""

    def __init__(self):
        self.end = "succeeded"
        self.told_by_socket = [2, 1]
        """How many transitions each socket tells; then there are no sockets."""
        self.asked = []
        self.transitions = [
            {"seq": 1, "state": "running", "step": None},
            {"seq": 2, "state": "running", "step": step("running")},
            {"seq": 3, "state": "succeeded", "step": step("succeeded")},
        ]
        self.polls = 0

    @property
    def all(self):
        return [*self.transitions, {"seq": 4, "state": self.end, "step": None}]

    def app(self):
        app = web.Application()
        app.router.add_post("/api/v1/runs", self._start)
        app.router.add_get("/api/v1/runs", self._list)
        app.router.add_get(f"/api/v1/runs/{RUN}", self._get)
        app.router.add_get(f"/api/v1/runs/{RUN}/output", self._output)
        app.router.add_get(f"/api/v1/runs/{RUN}/snapshot", self._snapshot)
        app.router.add_get(f"/api/v1/runs/{RUN}/timeline", self._timeline)
        app.router.add_get("/api/v1/live", self._live)
        return app

    async def _start(self, request):
        self.asked.append(await request.json())
        if self.asked[-1]["graph"] == "unknown":
            return web.json_response({"title": "No graph of this key."}, status=404)
        return web.json_response(described("running"))

    async def _list(self, request):
        self.asked.append(dict(request.query))
        return web.json_response({"items": [described("failed")]})

    async def _get(self, _):
        return web.json_response(described(self.end))

    async def _output(self, _):
        return web.json_response({"run_id": RUN, "values": {"y": ["ä"]}})

    async def _timeline(self, _):
        attempts = [{"node": "a", "total": 1, "attempts": [{"item": "0.1", "number": 1, "started_ms": 5}]}]
        return web.json_response(
            {"run": described(self.end), "steps": [step("succeeded")], "attempts": attempts}
        )

    async def _snapshot(self, request):
        after = int(request.query.get("after", 0))
        self.polls += 1
        # Each question finds one transition more.
        behind = [t for t in self.all if t["seq"] > after][:1]
        state = self.end if behind[-1]["seq"] == 4 else "running"
        data = {"run": described(state), "seq": behind[-1]["seq"], "steps": [], "transitions": behind}
        return web.json_response(data)

    async def _live(self, request):
        if not self.told_by_socket:
            return web.Response(status=503)
        tells = self.told_by_socket.pop(0)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        asked = await socket.receive_json()
        after, topic = asked.get("after") or 0, {"topic": asked["topic"]}
        data = {"run": described("running"), "seq": after, "steps": [], "transitions": []}
        await socket.send_json(topic | {"op": "snapshot", "seq": after, "data": data})
        for transition in [t for t in self.all if t["seq"] > after][:tells]:
            await socket.send_json(topic | {"op": "events", "seq": transition["seq"], "data": [transition]})
        if tells > 4:
            await socket.send_json(topic | {"op": "end", "seq": 4})
        await socket.close()
        return socket


@pytest.fixture
async def gateway(monkeypatch):
    monkeypatch.setattr(following, "POLL_S", 0.01)
    monkeypatch.setattr("polis.client.pauses._LONGEST_S", 0.01)
    played = Gateway()
    server = TestServer(played.app())
    await server.start_server()
    played.address = str(server.make_url(""))
    yield played
    await server.close()


@pytest.fixture
async def api(gateway):
    async with Api(gateway.address, "token") as opened:
        yield opened


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=200)


@pytest.mark.parametrize("sockets", [[9], [1, 1, 9], [2, 1], []])
async def test_a_run_is_followed_to_its_end_over_sockets_that_break_or_none(
    gateway, api, console, capsys, sockets
):
    gateway.told_by_socket = list(sockets)

    code = await run(api, Wish("g", follow=True, tags=("t",)), console)

    assert code == SUCCEEDED
    assert json.loads(capsys.readouterr().out) == {"y": ["ä"]}
    lines = console.file.getvalue().splitlines()
    assert [line.split()[:2] for line in lines[1:3]] == [["running", "a"], ["succeeded", "a"]]
    assert "25 ms" in lines[2]
    assert lines[-1] == "g succeeded after 1500 ms"
    assert (gateway.polls > 0) is (9 not in sockets)
    assert gateway.asked[0] == {"graph": "g", "input": {}, "environment": "production", "tags": ["t"]}


async def test_a_terminal_shows_the_steps_in_one_place(gateway, api, capsys):
    gateway.told_by_socket = [9]
    terminal = Console(file=io.StringIO(), force_terminal=True, width=120)

    assert await run(api, Wish("g", follow=True), terminal) == SUCCEEDED

    told = terminal.file.getvalue()
    assert "succeeded" in told
    assert "25 ms" in told
    assert json.loads(capsys.readouterr().out) == {"y": ["ä"]}


@pytest.mark.parametrize(("end", "code"), [("failed", FAILED), ("cancelled", CANCELLED)])
async def test_the_exit_code_tells_how_the_run_ended(gateway, api, console, capsys, end, code):
    gateway.end, gateway.told_by_socket = end, [9]

    assert await run(api, Wish("g", follow=True), console) == code

    assert capsys.readouterr().out == ""
    told = console.file.getvalue()
    assert f"g {end}" in told
    assert ("a: test.broken: [red]it broke" in told) is (end == "failed")


async def test_what_cannot_start_says_why(gateway, api, console, tmp_path, capsys):
    wrong = tmp_path / "input.json"
    wrong.write_text("[1]")
    given = tmp_path / "given.json"
    given.write_text('{"x": 1}')

    assert await run(api, Wish("unknown"), console) == REFUSED
    assert await run(api, Wish("g", input=str(wrong)), console) == REFUSED
    assert await run(api, Wish("g", input=str(tmp_path / "none")), console) == REFUSED
    assert await run(api, Wish("g", input=str(given)), console) == SUCCEEDED

    assert capsys.readouterr().out.strip() == RUN
    assert gateway.asked[-1]["input"] == {"x": 1}
    told = console.file.getvalue()
    for words in ("No graph of this key.", "is no JSON object", "No such file"):
        assert words in told


async def test_without_a_gateway_it_says_so(console):
    async with Api("http://127.0.0.1:1") as nowhere:
        assert await run(nowhere, Wish("g"), console) == REFUSED
        assert await listed(nowhere, {}, console) == REFUSED
        assert await timeline(nowhere, RUN, console) == REFUSED

    assert console.file.getvalue().count("no connection: ") == 3


async def test_runs_and_their_timelines_are_shown(gateway, api, console):
    gateway.end = "failed"

    assert await listed(api, {"state": "failed", "graph": "", "limit": "5"}, console) == SUCCEEDED
    assert await timeline(api, RUN, console, attempts=True) == FAILED

    assert gateway.asked == [{"state": "failed", "limit": "5"}]
    told = console.file.getvalue()
    for words in (RUN, "2026-01-01 00:00:00", "map", "25 ms", "0.1"):
        assert words in told
