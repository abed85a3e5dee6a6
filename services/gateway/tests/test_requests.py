"""Requests and quotas: what is bound is bound exactly, at however many gateways, and nobody else is asked about or held up."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import uuid4

import aiohttp
import msgspec
import pytest

from polis.bus.permissions import ADMIN
from polis.gateway.service import service
from polis.proto.contract import operation_of
from polis.proto.identity import OrgQuota, QuotaRemoved, QuotaSet, Subject
from polis.proto.messaging import Posted, PostMessage
from polis.service import blocks, envelope, serving
from polis.testing import eventually
from polis.testing.usage import PlayedUsage

ROOM = uuid4()
PATH = f"/api/v1/conversations/{ROOM}/messages"


@pytest.fixture(scope="module")
async def actors(stage):
    return await stage.actors()


@pytest.fixture(scope="module")
async def played_usage(stage):
    return await PlayedUsage.on(await stage.bus(ADMIN), "requests")


@pytest.fixture
def usage(played_usage):
    played_usage.begin()
    return played_usage


@pytest.fixture(scope="module")
async def all_said(stage):
    """What a played messaging was asked to say, in that order."""
    bus, texts = await stage.bus("messaging"), []

    def answer(message):
        texts.append(msgspec.json.decode(message.payload, type=PostMessage).text)
        bus.publish(message.reply, msgspec.json.encode(Posted(ROOM, len(texts), datetime.now(UTC))))

    await bus.subscribe(operation_of(PostMessage).subject, answer, queue="messaging")
    return texts


@pytest.fixture
def said(all_said):
    all_said.clear()
    return all_said


@pytest.fixture(scope="module")
async def gateways(stage, actors, all_said, played_usage):
    return [await stage.start("gateway") for _ in range(2)]


@pytest.fixture(scope="module")
def addresses(gateways):
    return [f"http://127.0.0.1:{gateway.port}" for gateway in gateways]


@pytest.fixture
async def http():
    async with aiohttp.ClientSession() as http:
        yield http


@pytest.fixture
def post(http, addresses):
    """Say something by HTTP: status, headers and body of the answer."""

    async def post(person, text="x", *, at=0):
        headers = {"Authorization": f"Bearer {person.token}"}
        async with http.post(f"{addresses[at]}{PATH}", json={"text": text}, headers=headers) as answer:
            return answer.status, answer.headers, await answer.json(content_type=None)

    return post


@pytest.fixture
def socket(http, addresses):
    @asynccontextmanager
    async def socket(person, *, at=0):
        headers = {"Authorization": f"Bearer {person.token}"}
        async with http.ws_connect(f"{addresses[at]}/api/v1/live", headers=headers) as socket:
            yield socket

    return socket


async def call(socket, number, text="x"):
    request = {"conversation_id": str(ROOM), "text": text}
    await socket.send_json({"op": "call", "id": number, "name": "PostMessage", "request": request})


@pytest.fixture
async def tell(stage, gateways):
    """Publish an event as identity does; back when the gateways have heard of it."""
    bus = await stage.bus(ADMIN)

    async def tell(event):
        subject, headers, payload = envelope.encode(event, uuid4(), datetime.now(UTC))
        bus.publish(subject, payload, headers=headers)
        for connection in (bus, *(gateway.kernel.bus for gateway in gateways)):
            await connection.round_trip(20.0)

    return tell


@pytest.fixture
def bound(tell):
    """Tell of a quota of somebody's org; its id."""

    async def bound(person, meter="requests"):
        quota_id = uuid4()
        await tell(QuotaSet(person.org_id, quota_id, Subject("org"), meter, "day", 7))
        return quota_id

    return bound


async def test_an_org_without_a_quota_for_requests_is_not_asked_about(
    actors, usage, bound, post, socket, said
):
    ada, tom = actors.person(), actors.person()
    await bound(ada, "messages")
    await bound(tom)

    assert (await post(ada))[0] == 200
    async with socket(ada) as open_socket:
        await call(open_socket, 1)
        assert (await open_socket.receive_json(timeout=30))["op"] == "ack"
    assert usage.reserved == []

    assert (await post(tom))[0] == 200
    assert [(r.org_id, r.principal_id, r.amount) for r in usage.reserved] == [
        (tom.org_id, tom.principal_id, 1)
    ]


async def test_at_two_gateways_by_http_and_by_socket_as_many_are_answered_as_may_be(
    actors, usage, bound, post, socket, said
):
    ada, ben = actors.person(), None
    ben = actors.person(org_id=ada.org_id)
    await bound(ada)
    usage.left = 30

    async with socket(ada) as here, socket(ben, at=1) as there:
        for n in range(15):
            await call(here, n, "s")
            await call(there, n, "s")
        statuses = await asyncio.gather(*(post((ada, ben)[n % 2], at=n // 2 % 2) for n in range(60)))
        frames = [await each.receive_json(timeout=30) for each in (here, there) for _ in range(15)]

    assert {status for status, _, _ in statuses} <= {200, 429}
    assert {frame["op"] for frame in frames} <= {"ack", "problem"}
    assert 0 < len(said) <= 30

    async def the_rest():
        await post(ada)
        return len(said) >= 30

    await eventually(the_rest, within_s=30)
    assert (await post(ada))[0] == 429
    assert len(said) == 30


async def test_beyond_it_one_is_told_what_bounds_and_until_when(actors, usage, bound, post, socket, said):
    ada = actors.person()
    await bound(ada)
    usage.left = 0

    status, headers, problem = await post(ada)
    async with socket(ada) as open_socket:
        await call(open_socket, 7)
        frame = await open_socket.receive_json(timeout=30)

    assert (status, problem["type"], problem["meter"]) == (429, "/problems/identity/over-quota", "requests")
    assert problem["quota_id"] == str(usage.over.quota_id)
    left = usage.over.resets_at - datetime.now(UTC)
    assert int(headers["Retry-After"]) >= left.total_seconds()
    assert (frame["op"], frame["id"], frame["problem"]["type"]) == ("problem", 7, problem["type"])
    assert said == []


async def test_a_request_counts_for_the_key_by_which_it_came(actors, usage, bound, post, said):
    ada, key_id = actors.person(), uuid4()
    by_key = actors.person(org_id=ada.org_id, act={"sub": f"key:{key_id}"})
    await bound(ada)

    await post(by_key)

    [reserved] = usage.reserved
    assert (reserved.principal_id, reserved.key_id) == (by_key.principal_id, key_id)


async def test_what_is_called_on_a_socket_goes_on_in_its_order(
    actors, usage, bound, socket, said, monkeypatch
):
    ada = actors.person()
    await bound(ada)
    take, gate, taken = blocks.Blocks.take, asyncio.Event(), []

    async def the_first_waits(self, *args):
        taken.append(args)
        if len(taken) == 1:
            await gate.wait()
        return await take(self, *args)

    monkeypatch.setattr(blocks.Blocks, "take", the_first_waits)
    texts = [str(n) for n in range(40)]

    async with socket(ada) as open_socket:
        for n, text in enumerate(texts):
            await call(open_socket, n, text)
        for _ in range(20):  # time for others to overtake it
            await open_socket.send_json({"op": "ping"})
            assert (await open_socket.receive_json(timeout=30))["op"] == "pong"
        gate.set()
        for _ in texts:
            assert (await open_socket.receive_json(timeout=30))["op"] == "ack"

    assert said == texts


async def test_what_is_refused_for_another_reason_does_not_count(actors, usage, bound, post, http, addresses):
    ada = actors.person(scope="catalog:read")
    await bound(ada)

    assert (await post(ada))[0] == 403
    async with http.get(f"{addresses[0]}/api/v1/me") as anonymous:
        assert anonymous.status == 401

    assert usage.reserved == []


async def test_a_quota_that_is_set_or_removed_holds_at_once_for_what_was_set_aside_too(
    actors, usage, bound, tell, post, said, monkeypatch
):
    monkeypatch.setattr(blocks, "LIFE_S", 3600.0)
    ada = actors.person()
    first = await bound(ada)

    async def more_is_set_aside():
        await post(ada)
        return usage.reserved[-1].amount > 1

    await eventually(more_is_set_aside)
    usage.left = -1_000  # of the other one, whatever is given back to this
    second = await bound(ada)

    assert (await post(ada))[0] == 429
    await eventually(lambda: sum(usage.told().values()) == len(said))
    await tell(QuotaRemoved(ada.org_id, first))
    assert (await post(ada))[0] == 429
    await tell(QuotaRemoved(ada.org_id, second))
    assert (await post(ada))[0] == 200


async def test_while_identity_is_silent_who_is_bound_is_refused_and_others_go_on(
    actors, usage, bound, post, said
):
    ada, tom = actors.person(), actors.person()
    await bound(ada)
    usage.silent = True

    status, _, problem = await post(ada)

    assert (status, problem["type"], problem["dependency"]) == (503, "/problems/unavailable", "identity")
    assert (await post(tom))[0] == 200


async def test_a_gateway_that_starts_knows_who_is_bound_and_settles_when_it_ends(
    stage, actors, usage, addresses, http, said, monkeypatch
):
    monkeypatch.setattr(blocks, "LIFE_S", 3600.0)
    ada = actors.person()
    actors.quotas.append(OrgQuota(uuid4(), ada.org_id))

    async with serving(service, stage.settings("gateway")) as running:
        headers = {"Authorization": f"Bearer {ada.token}"}

        async def more_is_set_aside():
            url = f"http://127.0.0.1:{running.port}{PATH}"
            async with http.post(url, json={"text": "x"}, headers=headers) as answer:
                assert answer.status == 200
            return usage.reserved and usage.reserved[-1].amount > 1

        await eventually(more_is_set_aside)

    assert usage.told().keys() == {r.reservation_id for r in usage.reserved}
    assert 0 < usage.told()[usage.reserved[-1].reservation_id] < usage.reserved[-1].amount
