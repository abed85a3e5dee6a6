"""Every operation that declares it takes an Idempotency-Key: the same key and body give the same answer, once in effect."""

from __future__ import annotations

import json

import aiohttp
import pytest

from tests.e2e.test_authorization import OPERATIONS, ROWS
from tests.e2e.world import World, new_key

IDEMPOTENT = [name for name, operation in OPERATIONS.items() if operation.idempotent]


@pytest.fixture(scope="module")
async def world(mesh, address):
    async with aiohttp.ClientSession() as http:
        world = World(address, http)
        await world.populate(mesh.credential("runtime"))
        yield world


@pytest.mark.parametrize("name", IDEMPOTENT)
async def test_the_same_key_gives_the_same_answer(world, name):
    path, body = await ROWS[name](world)
    headers = {"Idempotency-Key": new_key()}
    if OPERATIONS[name].scope != "public":
        headers["Authorization"] = f"Bearer {world.tokens['owner']}"

    answers = []
    for _ in range(2):
        async with world.http.request(
            OPERATIONS[name].verb, f"{world.address}/api/v1{path}", json=body, headers=headers
        ) as answer:
            answers.append((answer.status, await answer.text(), answer.headers.get("idempotency-replayed")))

    first, second = answers
    if first[0] >= 400:
        assert {json.loads(a[1])["type"] for a in answers} == {json.loads(first[1])["type"]}
    else:
        assert first[:2] == second[:2]
        assert (first[2], second[2]) == (None, "true")
