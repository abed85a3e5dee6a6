"""Bounds of the public origin: token buckets by principal, address and for credentials; open sockets."""

from __future__ import annotations

import itertools
from contextlib import AsyncExitStack

import aiohttp
import pytest

from polis.cli.api import Api, Problem

PEOPLE = 5
_HOSTS = itertools.count(2)


@pytest.fixture(scope="module")
async def mesh(stage):
    await stage.start("identity")
    await stage.start(
        "gateway",
        principal_rate=12,
        principal_burst=10,
        credentials_rate=6,
        credentials_burst=8,
        hooks_rate=6,
        hooks_burst=8,
        sockets_per_principal=2,
        sockets_per_address=3,
    )
    return stage


@pytest.fixture(scope="module")
async def people(address):
    """Signed up before a test spends what the address may try."""
    async with AsyncExitStack() as stack:
        signed_up = [await stack.enter_async_context(Api(address)) for _ in range(PEOPLE)]
        for api in signed_up:
            await api.sign_up()
        yield iter(signed_up)


@pytest.fixture
async def stranger(address):
    """A client at an address of its own."""
    connector = aiohttp.TCPConnector(local_addr=(f"127.0.0.{next(_HOSTS)}", 0))
    async with aiohttp.ClientSession(address, connector=connector) as http:
        yield http


@pytest.fixture
def ada(people):
    """Somebody whose bucket is full."""
    return next(people)


async def test_a_principal_gets_its_burst_and_is_then_told_when_to_come_again(ada, address):
    headers = {"Authorization": f"Bearer {ada.token}"}
    async with aiohttp.ClientSession() as http:
        answers = []
        for _ in range(12):
            async with http.get(f"{address}/api/v1/me", headers=headers) as answer:
                answers.append((answer.status, answer.headers.get("retry-after")))

    assert [status for status, _ in answers[:10]] == [200] * 10
    status, wait_s = answers[-1]
    assert status == 429
    assert 0 < int(wait_s) <= 5, "of the time until the next one what has not passed yet"


async def test_who_tries_credentials_is_held_back_sooner(stranger):
    refused = []
    for attempt in range(12):
        body = {"email": "ada@example.org", "password": f"wrong password {attempt}"}
        async with stranger.post("/api/v1/sign-in", json=body) as answer:
            refused.append(answer.status)

    assert set(refused) == {401, 429}
    assert refused[-1] == 429


async def test_posts_to_hooks_are_held_back_and_spend_nothing_of_what_signing_in_has(stranger):
    posted = []
    for _ in range(12):
        async with stranger.post("/api/v1/hooks/nothing", data=b"x") as answer:
            posted.append(answer.status)
    async with stranger.post("/api/v1/sign-in", json={"email": "a@example.org", "password": "x"}) as answer:
        signed_in = answer.status

    assert (set(posted), posted[-1], signed_in) == ({404, 429}, 429, 401)


async def test_a_forwarded_address_is_not_believed_from_just_anybody(stranger):
    statuses = []
    for attempt in range(12):
        body, headers = {"client_id": "a", "client_secret": "b"}, {"X-Forwarded-For": f"203.0.113.{attempt}"}
        async with stranger.post("/api/v1/token", json=body, headers=headers) as answer:
            statuses.append(answer.status)

    assert 429 in statuses


async def test_a_principal_holds_so_many_sockets_and_no_more(ada, address):
    headers = {"Authorization": f"Bearer {ada.token}"}
    async with aiohttp.ClientSession() as http:
        first = await http.ws_connect(f"{address}/api/v1/live", headers=headers)
        second = await http.ws_connect(f"{address}/api/v1/live", headers=headers)
        with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
            await http.ws_connect(f"{address}/api/v1/live", headers=headers)
        await first.close()
        await second.close()

    assert refusal.value.status == 429


async def test_a_refusal_by_a_bucket_names_the_seconds(ada):
    problems = []
    for _ in range(20):
        try:
            await ada.call("GET", "/me")
        except Problem as refusal:
            problems.append(refusal.content)

    assert {problem["type"] for problem in problems} == {"/problems/overloaded"}
    assert all(0 < problem["retry_after_s"] <= 5 for problem in problems)


async def test_an_address_holds_so_many_sockets_and_no_more_whoever_they_are(people, stranger):
    async def connect(api):
        headers = {"Authorization": f"Bearer {api.token}"}
        try:
            return await stranger.ws_connect("/api/v1/live", headers=headers)
        except aiohttp.WSServerHandshakeError as refusal:
            return refusal.status

    ada, tom = next(people), next(people)
    held = [await connect(ada), await connect(ada), await connect(tom)]
    assert await connect(tom) == 429

    await held.pop().close()

    while (another := await connect(tom)) == 429:
        pass
    held.append(another)
    for socket in held:
        await socket.close()
