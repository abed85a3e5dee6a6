"""Operations called over the live socket: the same rights, bounds and answers as on HTTP, in both ways of writing."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager

import aiohttp
import msgspec
import pytest

from polis.cli.api import Api
from polis.proto.live import JSON_PROTOCOL, MSGPACK_PROTOCOL, callable_here
from polis.specs.examples import example
from polis.testing import eventually
from tests.e2e.world import GRAPH, new_key

FOREIGN = "0190c0de-0000-7000-8000-000000000001"


class Caller:
    """An open socket. `call` gives the frame that answers, and keeps all others."""

    def __init__(self, socket):
        self.socket = socket
        self.binary = socket.protocol == MSGPACK_PROTOCOL
        self.others = []

    async def say(self, **words):
        if self.binary:
            await self.socket.send_bytes(msgspec.msgpack.encode(words))
        else:
            await self.socket.send_json(words)

    async def hear(self):
        message = await self.socket.receive(timeout=30)
        if message.type is aiohttp.WSMsgType.BINARY:
            return msgspec.msgpack.decode(message.data)
        return json.loads(message.data)

    async def call(self, name, request, *, call_id=1, key=""):
        await self.say(op="call", id=call_id, name=name, request=request, **({"key": key} if key else {}))
        while (frame := await self.hear()).get("id") != call_id:
            self.others.append(frame)
        return frame


@asynccontextmanager
async def socket_of(api, *protocols):
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(
            f"{api.address}/api/v1/live",
            headers={"Authorization": f"Bearer {api.token}"},
            protocols=protocols,
        ) as socket,
    ):
        yield Caller(socket)


@pytest.fixture
async def room(ada):
    return (await ada.call("POST", "/conversations", {"kind": "group", "name": "Room"}))["id"]


async def messages(api, room):
    return (await api.call("GET", f"/conversations/{room}/messages"))["items"]


async def test_a_message_is_posted_and_told_on_one_socket_alike_in_json_and_in_messagepack(ada, room):
    told = []
    for n, protocol in enumerate((JSON_PROTOCOL, MSGPACK_PROTOCOL)):
        async with socket_of(ada, "other", protocol) as caller:
            assert caller.socket.protocol == protocol
            await caller.say(op="subscribe", topic=f"conversation/{room}")
            assert (await caller.hear())["op"] == "snapshot"

            request = {"conversation_id": room, "text": f"hällo {n}", "client_id": str(n)}
            ack = await caller.call("PostMessage", request)
            again = await caller.call("PostMessage", request)
            while not caller.others:
                caller.others.append(await caller.hear())

            assert ack["op"] == again["op"] == "ack"
            assert (again["data"]["seq"], again["data"]["repeated"]) == (ack["data"]["seq"], True)
            (change,) = caller.others[0]["data"]
            assert change["entry"]["message"]["text"] == f"hällo {n}"
            told.append(change["entry"])

    assert told[0].keys() == told[1].keys()
    assert isinstance(told[1]["at"], str)
    assert [message["text"] for message in await messages(ada, room)] == ["hällo 1", "hällo 0"]


async def test_what_is_refused_on_http_is_refused_here_with_the_same_problem(ada, room, address):
    async with socket_of(ada) as caller:
        unknown = await caller.call("DeleteOrg", {})
        wrong = await caller.call("PostMessage", {"conversation_id": room, "text": 3, "colour": "red"})
        missing = await caller.call("SignalRun", {"run_id": FOREIGN, "name": "paid"})
        long = await caller.call("SignalRun", {"run_id": FOREIGN, "name": "x", "payload": "x" * 70_000})

    assert unknown["problem"]["faults"][0]["pointer"] == "/name"
    assert {fault["pointer"] for fault in wrong["problem"]["faults"]} == {"/colour"}
    assert missing["problem"]["type"] == "/problems/runtime/run-not-found"
    assert long["problem"]["type"] == "/problems/too-large"
    key = await ada.call("POST", "/keys", {"name": "K", "scopes": ["messaging:read"]})
    async with Api(address) as eve, Api(address) as reader:
        await eve.sign_up(name="Eve")
        reader.token = key["secret"]
        request = {"conversation_id": room, "text": "x"}
        async with socket_of(eve) as foreign, socket_of(reader) as narrow:
            assert (await foreign.call("PostMessage", request))["problem"]["status"] == 404
            assert (await narrow.call("PostMessage", request))["problem"]["type"] == "/problems/forbidden"
    assert await messages(ada, room) == []


async def test_a_key_means_one_effect_and_no_line_of_its_own(ada, room):
    request = {"conversation_id": room, "text": "once"}
    async with socket_of(ada) as caller:
        first = await caller.call("PostMessage", request, key="k1")
        second = await caller.call("PostMessage", request, key="k1")
        await caller.say(op="call", id=9, name="PostMessage", request=request, key="a\r\nPolis-Actor: b")
        await caller.socket.receive(timeout=30)

        assert caller.socket.close_code == 4400
    assert first["data"] == second["data"]
    assert len(await messages(ada, room)) == 1


async def test_more_calls_than_are_taken_at_once_are_refused_and_a_client_that_goes_loses_nothing_it_said(
    ada, room
):
    async with socket_of(ada) as caller:
        for n in range(80):
            await caller.say(op="call", id=n, name="MarkConversation", request={"conversation_id": room})
        frames = [await caller.hear() for _ in range(80)]
        await caller.say(op="ping")
        assert await caller.hear() == {"op": "pong"}
        await caller.say(
            op="call", id=1, name="PostMessage", request={"conversation_id": room, "text": "last"}
        )

    assert {frame["id"] for frame in frames} == set(range(80))
    refused = {frame["problem"]["status"] for frame in frames if frame["op"] == "problem"}
    assert refused <= {429}
    assert await eventually(lambda: messages(ada, room))


async def test_every_operation_that_is_called_here_needs_its_scope(ada):
    key = await ada.call("POST", "/keys", {"name": "K", "scopes": ["catalog:read"]})
    ada.token = key["secret"]

    async with socket_of(ada) as caller:
        told = {
            name: (await caller.call(name, example(operation.request)))["problem"]
            for name, operation in callable_here().items()
        }

    assert {name: problem.get("scope") for name, problem in told.items()} == {
        name: operation.scope for name, operation in callable_here().items()
    }


async def test_what_happens_in_an_org_is_told_to_those_who_may_read_it(ada, address):
    key = await ada.call("POST", "/keys", {"name": "K", "scopes": ["runtime:read"]})
    async with Api(address) as eve, Api(address) as reader:
        await eve.sign_up(name="Eve")
        reader.token = key["secret"]
        async with socket_of(ada) as mine, socket_of(reader) as narrow, socket_of(eve) as foreign:
            for caller in (mine, narrow, foreign):
                # What was done before may be told behind the subscription.
                kinds, fields = ["identity.agent_created"], ["kind", "data.agent_id"]
                await caller.say(op="subscribe", topic="org", kinds=kinds, fields=fields)
                assert (await caller.hear())["op"] == "snapshot"
            made = await ada.call("POST", "/agents", {"key": "sarah", "name": "Sarah"})
            told = await mine.hear()
            for caller in (narrow, foreign):
                await caller.say(op="ping")
                assert await caller.hear() == {"op": "pong"}

    event = {"seq": 1, "kind": "identity.agent_created", "data": {"agent_id": made["agent"]["id"]}}
    assert (told["topic"], told["data"]) == ("org", [event])


async def test_what_an_agent_does_is_told_to_who_follows_it_by_any_of_its_names(ada):
    graph = {"type": "graph", "key": new_key(), "content": GRAPH}
    made = await ada.call("POST", "/resources", graph)
    await ada.call("POST", f"/resources/{made['id']}/versions", {})
    agent = (await ada.call("POST", "/agents", {"key": "sarah", "name": "Sarah"}))["agent"]
    step = {"type": "step", "agent": "sarah", "data": {"progress": 33}}
    # Not that she was created: that may be told before or behind the subscription.
    hers = [f"runtime.{fact}" for fact in ("run_started", "run_succeeded", "event_told")]
    hers.append("identity.agent_suspended")
    async with socket_of(ada) as caller:
        names = ("sarah", str(agent["number"]), agent["id"])
        for name in names:
            await caller.say(op="subscribe", topic=f"agent/{name}", kinds=hers, fields=["kind", "data"])
        for topic in ("org", "agent/nobody"):
            await caller.say(op="subscribe", topic=topic, kinds=["catalog.version_activated"])
        begun = [await caller.hear() for _ in range(5)]
        await ada.call("PUT", f"/resources/{made['id']}/activations/production", {"number": 1})
        await ada.call("POST", "/runs", {"graph": graph["key"]})
        run = await ada.call("POST", "/runs", {"graph": graph["key"], "agent": "sarah"})
        await ada.call("POST", "/events", step)
        await ada.call("POST", "/agents/sarah/suspend", {})
        told = {f"agent/{name}": {} for name in names} | {"org": {}}
        while sum(map(len, told.values())) < 3 * 4 + 1:
            frame = await caller.hear()
            told[frame["topic"]] |= {event["kind"]: event["data"] for event in frame["data"]}

    assert [frame["problem"]["status"] for frame in begun if frame["op"] == "problem"] == [404]
    assert told.pop("org")["catalog.version_activated"]["resource_id"] == made["id"]
    whose = {"run_id": run["id"], "graph": graph["key"], "actor_id": agent["id"]}.items()
    for heard in told.values():
        assert heard["runtime.run_started"].items() >= whose
        assert heard["runtime.run_succeeded"].items() >= whose
        assert heard["runtime.event_told"].items() >= step.items()
        assert heard["identity.agent_suspended"]["agent_id"] == agent["id"]


async def test_who_is_about_is_told_to_those_who_share_a_conversation_with_them_and_to_nobody_else(
    ada, room, address
):
    invitation = await ada.call("POST", "/invitations", {"email": f"{new_key()}@example.org"})
    async with Api(address) as tom:
        account = {"email": invitation["email"], "password": "long enough", "name": "Tom"}
        session = await tom.call("POST", "/sign-up", account | {"invitation": invitation["token"]})
        tom.token = session["access_token"]
        me = (await tom.call("GET", "/me"))["principal"]["id"]
        path = f"/conversations/{room}/participants"
        async with socket_of(ada) as caller, socket_of(tom) as his:
            await caller.say(op="subscribe", topic="presence")
            assert (await caller.hear())["data"]["principal_ids"] == []
            await his.call("SayPresence", {"state": "busy"})  # told to nobody: there is nobody near
            await ada.call("POST", path, {"principal_id": me})
            near = await caller.hear()
            await his.call("SayPresence", {"state": "away", "doing": "watching sarah"})
            away = await caller.hear()
            await ada.call("DELETE", f"{path}/{me}")
            await caller.say(op="subscribe", topic="presence")
            while (again := await caller.hear())["op"] != "snapshot":
                pass

    told = [(frame["seq"], change["presence"]) for frame in (near, away) for change in frame["data"]]
    assert [
        (seq, presence["principal_id"], presence["state"], presence["doing"]) for seq, presence in told
    ] == [
        (1, me, "busy", ""),
        (2, me, "away", "watching sarah"),
    ]
    assert again["data"]["principal_ids"] == []


def test_only_what_is_said_in_a_hurry_can_be_called():
    allowed = {operation.scope for operation in callable_here().values()}

    assert not any(o.binary or o.streams or o.local or o.fresh for o in callable_here().values())
    assert allowed <= {"messaging:write", "messaging:read", "runtime:run", "runtime:answer"}
