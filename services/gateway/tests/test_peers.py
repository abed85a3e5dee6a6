"""Two gateways hold one limit, and a client is told what is left of it."""

from __future__ import annotations

import asyncio
import re
import time

import aiohttp
import pytest

from polis.cli.api import Api
from polis.testing import eventually

BURST = 200


@pytest.fixture(scope="module")
async def gateways(stage):
    await stage.start("identity")
    running = [await stage.start("gateway", principal_rate=60, principal_burst=BURST) for _ in range(2)]
    return [f"http://127.0.0.1:{gateway.port}" for gateway in running]


@pytest.fixture
async def ada(gateways):
    async with Api(gateways[0]) as api:
        await api.sign_up()
        yield {"Authorization": f"Bearer {api.token}"}


async def left(http, address, headers):
    async with http.get(f"{address}/api/v1/me", headers=headers) as answer:
        found = re.fullmatch(r'"principal";r=(\d+);t=(\d+)', answer.headers["ratelimit"])
        assert answer.headers["ratelimit-policy"] == f'"principal";q={BURST};w={BURST}'
        return int(found[1])


async def test_two_gateways_admit_together_what_one_may(gateways, ada):
    async with aiohttp.ClientSession() as http:
        statuses = []

        async def one(number: int) -> None:
            async with http.get(f"{gateways[number % 2]}/api/v1/me", headers=ada) as answer:
                statuses.append(answer.status)

        async def both_know() -> bool:
            """What is taken here is missing there."""
            before = await left(http, gateways[1], ada)
            await asyncio.gather(*(left(http, gateways[0], ada) for _ in range(3)))
            return before - await left(http, gateways[1], ada) >= 3

        await eventually(both_know)
        spent = BURST - await left(http, gateways[0], ada)
        began = time.monotonic()
        for _ in range(15):
            await asyncio.gather(*(one(number) for number in range(30)))
        refilled = time.monotonic() - began

    admitted = spent + statuses.count(200)
    assert set(statuses) == {200, 429}
    assert BURST <= admitted <= BURST * 1.05 + refilled + 1
