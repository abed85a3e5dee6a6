"""The client without a mesh: what it makes of frames that repeat, gaps, answers that are lost, and values in paths."""

from __future__ import annotations

import asyncio
import json
from uuid import UUID

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from polis.client import Polis, Problem
from polis.client.wire import Cut, Wire
from polis.proto.identity import ExportAudit, GetAgent, SignOut
from polis.proto.runtime import CancelRun, GetOutput, ListRuns

LOST = aiohttp.ClientConnectionError("cut")
RUN = "0190c0de-0000-7000-8000-000000000001"


class Scripted(Polis):
    """A client whose gateway gives these frames, connection by connection, and these answers, one by one."""

    def __init__(self, *, connections=(), answers=()):
        super().__init__("http://gateway.example", "secret")
        self.connections = list(connections)
        self.answers = list(answers)
        self.asked = []

    async def live(self, topic, after, **wanted):
        self.asked.append(after)
        for frame in self.connections.pop(0):
            if isinstance(frame, Exception):
                raise frame
            yield frame

    async def request(self, method, path, body=None, *, headers, **_):
        self.asked.append((method, path, headers.get("Idempotency-Key")))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return json.dumps(answer).encode()


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch):
    monkeypatch.setattr("polis.client.pauses._LONGEST_S", 0.0)


def snapshot(seq, *numbers, recovered=True):
    data = {"seq": seq, "transitions": [{"seq": n} for n in numbers], "recovered": recovered}
    return {"op": "snapshot", "seq": seq, "data": data}


def events(*numbers):
    return {"op": "events", "seq": numbers[-1], "data": [{"seq": n} for n in numbers]}


END = {"op": "end", "seq": 99}


async def told(client, topic="run/a", **options):
    return [f"{c.kind} {c.seq}" async for c in client.follow(topic, **options)]


async def test_what_was_told_twice_is_given_once_and_a_gap_is_read_again_behind_the_last():
    client = Scripted(
        connections=[
            [snapshot(2, 1, 2), events(2), events(5)],
            [snapshot(5, 3, 4, 5), LOST],
            [snapshot(5), END],
        ]
    )

    assert await told(client, after=0) == [f"change {n}" for n in (1, 2, 3, 4, 5)]
    assert client.asked == [0, 2, 5]


async def test_where_what_was_missed_cannot_be_told_a_snapshot_comes_again():
    client = Scripted(
        connections=[[snapshot(3), events(4), LOST], [snapshot(90, recovered=False), events(91), END]]
    )

    assert await told(client) == ["snapshot 3", "change 4", "snapshot 90", "change 91"]


async def test_lines_of_a_runs_log_are_given_wherever_they_come_and_are_no_transitions():
    def line(seq, number):
        return {"op": "events", "seq": seq, "data": [{"seq": seq, "log": {"number": number}}]}

    client = Scripted(connections=[[snapshot(2, 1, 2), line(2, 1), events(3), line(3, 2), END]])

    changes = [change async for change in client.follow("run/a", after=0)]

    assert [change.seq for change in changes] == [1, 2, 2, 3, 3]
    assert [change.data["log"]["number"] for change in changes if "log" in change.data] == [1, 2]


async def test_a_refusal_ends_it_and_so_do_attempts_in_vain():
    refused = Scripted(connections=[[LOST], [Problem({"status": 503})], [Problem({"status": 403})]])
    with pytest.raises(Problem) as problem:
        await told(refused)
    assert problem.value.status == 403

    away = Scripted(connections=[[LOST], [LOST]])
    with pytest.raises(Problem, match="was lost"):
        await told(away, attempts=2)
    assert len(away.asked) == 2


class Mumbling:
    """A socket on which something comes that nobody understands."""

    close_code = None

    def __init__(self):
        self.said = asyncio.Event()

    async def receive(self):
        await self.said.wait()
        return aiohttp.WSMessage(aiohttp.WSMsgType.TEXT, "{", None)

    async def send_json(self, frame):
        self.said.set()

    async def close(self):
        pass


async def test_what_is_not_understood_cuts_the_socket_and_nobody_waits_for_ever():
    async def connect():
        return Mumbling()

    wire = Wire(connect)

    async with asyncio.timeout(30):
        with pytest.raises(Cut, match="the connection failed"):
            await anext(wire.frames("run/a"))
    await wire.close()


class Quiet:
    """A socket on which nothing comes until it is closed."""

    close_code = None

    def __init__(self):
        self.asked, self.left = asyncio.Event(), asyncio.Event()

    async def receive(self):
        await self.left.wait()
        return aiohttp.WSMessage(aiohttp.WSMsgType.CLOSED, None, None)

    async def send_json(self, frame):
        self.asked.set()

    async def send_str(self, text):
        self.asked.set()

    async def close(self):
        self.left.set()


async def test_what_is_followed_or_said_fails_when_the_client_is_closed():
    sockets = Quiet(), Quiet()

    def wire(socket):
        async def connect():
            return socket

        return Wire(connect)

    wires = [wire(socket) for socket in sockets]
    waiting = asyncio.gather(
        anext(wires[0].frames("run/a")), wires[1].call("SayTyping", b"{}", ""), return_exceptions=True
    )
    for socket, each in zip(sockets, wires, strict=True):
        await socket.asked.wait()
        await each.close()

    async with asyncio.timeout(20):
        assert [str(error) for error in await waiting] == ["the client was closed"] * 2


async def test_a_topic_that_was_left_before_it_began_is_followed_there_again_once_the_socket_was_left(
    monkeypatch,
):
    monkeypatch.setattr("polis.client.wire.LINGER_S", 0.0)
    socket = Quiet()

    async def connect():
        return socket

    wire = Wire(connect)
    following = asyncio.create_task(anext(wire.frames("run/a")))
    await socket.asked.wait()
    following.cancel()

    await socket.left.wait()

    assert wire.takes("run/a")
    await wire.close()


async def test_who_waits_for_a_gateway_that_says_nothing_waits_no_longer_than_another(monkeypatch):
    monkeypatch.setattr("polis.client.wire._TIMEOUT_S", 0.1)
    silence = asyncio.Event()
    wire = Wire(silence.wait)

    async with asyncio.timeout(30):
        told = await asyncio.gather(
            *(wire.call("SayTyping", b"{}", "") for _ in range(3)), return_exceptions=True
        )

    assert [(str(cut), cut.sent) for cut in told] == [("there was no answer in time", False)] * 3


async def test_a_dial_that_fails_has_failed_for_all_that_waited_for_it():
    dials = []

    async def connect():
        dials.append(len(dials))
        await asyncio.sleep(0)  # all others want a socket by now
        raise LOST

    wire = Wire(connect)

    told = await asyncio.gather(*(anext(wire.frames(f"run/{n}")) for n in range(3)), return_exceptions=True)

    assert told == [LOST] * 3
    assert dials == [0]
    with pytest.raises(aiohttp.ClientConnectionError):
        await anext(wire.frames("run/0"))
    assert dials == [0, 1]


async def test_what_the_gateway_does_not_understand_is_told_as_it_says():
    async def live(request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive()
        await socket.close(code=4400, message=b"Expected `array`, got `str` - at `$.kinds`")
        return socket

    app = web.Application()
    app.router.add_get("/api/v1/live", live)
    async with TestServer(app) as gateway, Polis(str(gateway.make_url("")), "secret") as client:
        with pytest.raises(Problem, match=r"understand this client\. Expected `array`, got `str`"):
            await anext(client.follow("run/a"))


async def test_a_call_is_sent_again_under_its_key_and_never_without_one():
    in_flight = Problem({"status": 409, "type": "/problems/in-flight"})
    client = Scripted(answers=[LOST, in_flight, Problem({"status": 404})])
    with pytest.raises(Problem) as problem:
        await client.call(CancelRun(run_id=RUN))
    assert problem.value.status == 404
    assert len(client.asked) == 3
    assert len({key for _, _, key in client.asked}) == 1

    once = Scripted(answers=[LOST])
    with pytest.raises(Problem, match="was not reached") as away:
        await once.call(SignOut())
    assert (away.value.status, away.value.__cause__) == (0, LOST)
    assert len(once.asked) == 1


async def test_a_gateway_that_stays_away_is_a_problem_after_as_many_attempts_as_there_are():
    cuts = [LOST, TimeoutError(), LOST, LOST, LOST]
    client = Scripted(answers=[*cuts, {"items": []}])

    with pytest.raises(Problem, match="was not reached") as away:
        await client.call(ListRuns())

    assert away.value.status == 0
    assert len(client.asked) == len(cuts)


async def test_a_stream_begins_with_another_token_and_later_like_a_call():
    answers, tokens = [401, 401, 429, 200], iter("abcd")

    async def audit(request):
        given.append(request.headers["authorization"].removeprefix("Bearer "))
        return web.Response(status=answers.pop(0), body=b"")

    async def token(renew):
        renewals.append(renew)
        return next(tokens)

    given, renewals = [], []
    app = web.Application()
    app.router.add_get("/api/v1/audit/export", audit)
    async with TestServer(app) as gateway, Polis(str(gateway.make_url("")), token) as client:
        with pytest.raises(Problem) as refused:
            await anext(client.stream(ExportAudit()))
        assert [record async for record in client.stream(ExportAudit())] == []

    assert refused.value.status == 401
    assert given == ["a", "b", "c", "d"]
    assert renewals == [False, True, False, False]


async def test_nobody_listens_where_the_gateway_should_be():
    """Each way to speak to it ends in the one error, with no pauses here at once."""
    async with Polis("http://127.0.0.1:1", "secret", retries=1) as polis:
        attempts = (
            polis.call(ListRuns()),
            polis.post(UUID(RUN), "Hello"),
            anext(polis.follow(f"run/{RUN}", attempts=2)),
            anext(polis.stream(ExportAudit())),
        )
        for attempt in attempts:
            with pytest.raises(Problem) as away:
                await attempt
            assert away.value.status == 0
        assert "Nobody answers" in str(away.value)  # a stream that has not begun has not broken off


async def test_fields_stand_where_the_contract_says():
    client = Scripted(answers=[{"items": []}, LOST, Problem({"status": 404})])
    await client.call(ListRuns(limit=3, tag="a b"))
    with pytest.raises(Problem):
        await client.call(GetOutput(run_id=RUN))

    paths = [path for _, path, _ in client.asked]
    assert paths == ["/runs?tag=a+b&limit=3", *[f"/runs/{RUN}/output"] * 2]
    with pytest.raises(ValueError, match="path"):
        await client.call(GetAgent(agent=".."))
