"""Tickets for live connections: good once, for half a minute, at every gateway, from origins that are allowed."""

from __future__ import annotations

import aiohttp
import pytest

from polis.gateway import tickets

ORIGIN = "https://shop.example.org"
JSON = "polis.v1.json"


@pytest.fixture(scope="module")
async def mesh(stage):
    return await stage.actors()


@pytest.fixture(scope="module")
async def gateways(stage, mesh):
    running = [await stage.start("gateway", cors_origins="https://*.example.org") for _ in range(2)]
    return [f"http://127.0.0.1:{gateway.port}/api/v1/live" for gateway in running]


@pytest.fixture
async def http():
    async with aiohttp.ClientSession() as http:
        yield http


@pytest.fixture
async def issue(http, mesh, gateways):
    token = mesh.person().token

    async def issue():
        headers = {"Authorization": f"Bearer {token}"}
        async with http.post(f"{gateways[0]}/tickets", headers=headers, json={}) as answer:
            assert answer.status == 200
            return (await answer.json())["ticket"]

    return issue


async def opens(http, where, ticket, origin=ORIGIN):
    """The status of the handshake."""
    protocols = (JSON, f"polis.ticket.{ticket}")
    try:
        socket = await http.ws_connect(where, protocols=protocols, headers={"Origin": origin})
    except aiohttp.WSServerHandshakeError as refusal:
        return refusal.status
    assert socket.protocol == JSON
    await socket.send_json({"op": "ping"})
    assert (await socket.receive_json(timeout=30))["op"] == "pong"
    await socket.close()
    return 101


async def test_a_ticket_opens_one_connection_at_any_gateway(http, gateways, issue):
    here, there = await issue(), await issue()

    assert await opens(http, gateways[0], here) == 101
    assert await opens(http, gateways[1], there) == 101
    for gateway in gateways:
        assert [await opens(http, gateway, used) for used in (here, there)] == [401, 401]


async def test_pages_of_strange_origins_cannot_use_one(http, gateways, issue):
    ticket = await issue()

    assert await opens(http, gateways[0], ticket, origin="https://evil.example") == 403
    assert await opens(http, gateways[0], ticket) == 101


async def test_a_ticket_ends_by_itself_and_one_that_was_made_up_opens_nothing(
    http, gateways, issue, monkeypatch
):
    monkeypatch.setattr(tickets, "VALID_S", 0)
    monkeypatch.setattr(tickets, "_ASK_S", 0.05)
    late = await issue()

    for ticket in (late, "made-up", f"{'0' * 16}.{late.partition('.')[2]}", "a.b.c", "."):
        assert await opens(http, gateways[0], ticket) == 401
