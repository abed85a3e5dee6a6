"""Announcements: told to all who follow the topic `org` now, at every gateway, but to those they are not for; kept nowhere."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import msgspec
import pytest

from polis.proto import Refused
from polis.proto.live import JSON_PROTOCOL, MSGPACK_PROTOCOL
from polis.proto.messaging import MAX_ANNOUNCED_BYTES, Announce
from polis.proto.problems import Forbidden, Invalid

KIND = "messaging.announced"
FIRST = {"text": "We restart in five minutes.", "data": {"restart_in_s": 300, "large": 2**70}}
LAST = {"text": "We are back."}


@pytest.fixture(scope="module")
async def actors(stage):
    actors = await stage.actors()
    await stage.start("messaging", posts_per_second=1.0)
    return actors


@pytest.fixture(scope="module")
async def gateways(stage, actors):
    running = [await stage.start("gateway") for _ in range(2)]
    return [f"http://127.0.0.1:{gateway.port}/api/v1" for gateway in running]


@pytest.fixture
async def http():
    async with aiohttp.ClientSession() as http:
        yield http


def bearer(person):
    return {"Authorization": f"Bearer {person.token}"}


class Follower:
    """Who follows a topic on a WebSocket, in JSON or in MessagePack."""

    def __init__(self, ws):
        self.ws = ws

    async def frame(self):
        message = await self.ws.receive(timeout=30)
        binary = self.ws.protocol == MSGPACK_PROTOCOL
        return msgspec.msgpack.decode(message.data) if binary else msgspec.json.decode(message.data)

    async def say(self, said):
        if self.ws.protocol == MSGPACK_PROTOCOL:
            await self.ws.send_bytes(msgspec.msgpack.encode(said))
        else:
            await self.ws.send_json(said)

    async def told(self, upto):
        """The announcements that were heard, up to the one of this text."""
        told = []
        while not told or told[-1]["text"] != upto:
            told += [event["data"] for event in (await self.frame())["data"]]
        return told


@asynccontextmanager
async def follower(http, gateway, person, protocol=JSON_PROTOCOL, topic="org"):
    async with http.ws_connect(f"{gateway}/live", headers=bearer(person), protocols=(protocol,)) as ws:
        one = Follower(ws)
        await one.say({"op": "subscribe", "topic": topic})
        assert (await one.frame())["op"] == "snapshot"
        yield one


class Reader:
    """Who reads the topic as server-sent events."""

    def __init__(self, answer):
        self.answer = answer

    async def next(self):
        """The data of the next event that has a name."""
        while True:
            event = (await self.answer.content.readuntil(b"\n\n")).decode()
            fields = dict(line.split(": ", 1) for line in event.splitlines() if ": " in line)
            if "event" in fields:
                return json.loads(fields["data"])

    async def told(self, upto):
        told = []
        while not told or told[-1]["text"] != upto:
            told.append((await self.next())["data"])
        return told


@asynccontextmanager
async def reader(http, gateway, person):
    async with http.get(f"{gateway}/live?topic=org", headers=bearer(person)) as answer:
        one = Reader(answer)
        assert KIND in (await one.next())["kinds"]
        yield one


async def announce(http, gateway, person, body):
    async with http.post(f"{gateway}/announcements", headers=bearer(person), json=body) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def test_all_who_follow_the_org_are_told_at_every_gateway_but_those_it_is_not_for(
    http, gateways, actors
):
    here, there = gateways
    ada = actors.person("admin")
    tom, eve = (actors.person("viewer", org_id=ada.org_id) for _ in range(2))
    stranger = actors.person("owner")
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        told = [
            await enter(follower(http, here, ada)),
            await enter(follower(http, there, tom)),
            await enter(follower(http, there, tom, MSGPACK_PROTOCOL)),
            await enter(reader(http, here, tom)),
            await enter(reader(http, there, ada)),
        ]
        spared = [await enter(follower(http, there, eve)), await enter(reader(http, here, eve))]
        foreign = await enter(follower(http, there, stranger))

        made = await announce(http, here, ada, FIRST | {"except_for": [str(eve.principal_id)]})
        last = await announce(http, there, ada, LAST)
        others = await announce(http, here, stranger, {"text": "Elsewhere."})

        heard = [await each.told(LAST["text"]) for each in told]
        spared = [await each.told(LAST["text"]) for each in spared]
        elsewhere = await foreign.told("Elsewhere.")

    large = made["data"] | {"large": float(2**70)}
    assert made["data"] == FIRST["data"]
    assert (made["announced_by"], last["data"]) == (str(ada.principal_id), {})
    in_msgpack = heard.pop(2)
    assert heard == [[made, last]] * 4
    assert in_msgpack == [made | {"data": large}, last]
    assert spared == [[last]] * 2
    assert elsewhere == [others]


async def test_it_is_told_to_nobody_who_comes_later(http, gateways, actors):
    ada = actors.person("owner")
    await announce(http, gateways[0], ada, FIRST)
    async with follower(http, gateways[1], ada) as late:
        last = await announce(http, gateways[0], ada, LAST)

        assert await late.told(LAST["text"]) == [last]


async def test_who_does_not_manage_the_org_announces_nothing(actors, gateways):
    for role in ("viewer", "member", "agent"):
        with pytest.raises(Refused) as caught:
            await actors.person(role).call(Announce("Hello"))
        assert caught.value.problem == Forbidden(scope="messaging:announce")


async def test_a_topic_says_beforehand_whether_announcements_are_told_on_it(http, gateways, actors):
    ada = actors.person("admin")
    actors.agent(ada.org_id, "sarah")
    narrow = actors.person("admin", org_id=ada.org_id, scope="runtime:read")
    kinds = {}
    for name, person, topic in (
        ("ada", ada, "org"),
        ("of an agent", ada, "agent/sarah"),
        ("narrow", narrow, "org"),
    ):
        async with http.get(f"{gateways[0]}/live?topic={topic}", headers=bearer(person)) as answer:
            kinds[name] = (await Reader(answer).next())["kinds"]

    assert all("runtime.run_started" in each for each in kinds.values())
    assert [name for name, each in kinds.items() if KIND in each] == ["ada"]


async def test_who_asks_for_announcements_alone_is_told_no_other_kind(http, gateways, actors):
    ada = actors.person("admin")
    async with http.get(
        f"{gateways[0]}/live?topic=org&kinds={KIND}&fields=kind,data.text", headers=bearer(ada)
    ) as answer:
        one = Reader(answer)
        await one.next()
        await announce(http, gateways[0], ada, LAST)

        assert await one.next() == {"seq": 1, "kind": KIND, "data": LAST}


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"text": ""}, "/text"),
        ({"text": "x" * 2_001}, "/text"),
        ({"data": {"x": "y" * MAX_ANNOUNCED_BYTES}}, "/data"),
        (
            {"except_for": [str(n) * 8 + "-0000-4000-8000-000000000000" for n in range(10)] * 11},
            "/except_for",
        ),
    ],
)
async def test_it_is_bounded(http, gateways, actors, fields, pointer):
    ada = actors.person("admin")
    headers = bearer(ada)
    async with http.post(f"{gateways[0]}/announcements", headers=headers, json=LAST | fields) as answer:
        problem = await answer.json(content_type=None)

    assert (answer.status, problem["type"]) == (422, Invalid.type)
    assert [fault["pointer"] for fault in problem["faults"]] == [pointer]


async def test_it_counts_like_a_message(http, gateways, actors):
    ada = actors.person("admin")

    async def status():
        async with http.post(f"{gateways[0]}/announcements", headers=bearer(ada), json=LAST) as answer:
            return answer.status, "retry-after" in answer.headers

    told = await asyncio.gather(*(status() for _ in range(30)))

    assert set(told) == {(200, False), (429, True)}
