"""What the public port says of itself, to operators and to everybody else."""

from __future__ import annotations

import aiohttp
import pytest

from polis.gateway.health import Operators
from polis.gateway.http import Exchange
from polis.gateway.proxies import Proxies
from polis.service.config import BadSettings
from polis.testing import eventually

FAR = {"X-Forwarded-For": "203.0.113.9"}
NEAR = {"X-Forwarded-For": "203.0.113.9, 10.1.2.3"}


@pytest.fixture(scope="module")
async def address(stage):
    await stage.start("identity")
    running = await stage.start("gateway", trusted_proxies="127.0.0.1", metrics_from="10.0.0.0/8")
    await eventually(lambda: running.kernel.keys.ready)  # read behind the start: unready until then
    return f"http://127.0.0.1:{running.port}"


@pytest.fixture
async def http(address):
    async with aiohttp.ClientSession(address) as http:
        yield http


@pytest.mark.parametrize("headers", [{}, NEAR], ids=["this machine", "a network of the settings"])
async def test_operators_read_metrics_and_what_is_not_ready(http, headers):
    async with (
        http.get("/metrics", headers=headers) as shown,
        http.get("/health/ready", headers=headers) as ready,
    ):
        assert (shown.status, ready.status) == (200, 200)
        assert "polis_" in await shown.text()
        assert await ready.json() == {"status": "ready", "service": "gateway", "faults": {}}


@pytest.mark.parametrize("path", ["/health", "/health/ready", "/api/system/health"])
async def test_others_hear_whether_it_is_ready_and_nothing_else(stage, http, path):
    async with http.get(path, headers=FAR) as answer:
        assert (answer.status, await answer.json()) == (200, {"status": "ready"})
    stage.running["gateway"].kernel.draining.set()
    try:
        async with http.get(path, headers=FAR) as answer:
            assert (answer.status, await answer.json()) == (503, {"status": "unready"})
    finally:
        stage.running["gateway"].kernel.draining.clear()


async def test_others_find_no_metrics_and_whoever_asks_finds_it_alive(http):
    async with http.get("/metrics", headers=FAR) as hidden, http.get("/health/live", headers=FAR) as live:
        assert (hidden.status, live.status) == (404, 200)
        assert b"polis_" not in await hidden.read()
    async with http.post("/metrics") as posted:
        assert (posted.status, posted.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("peer", "headers", "is_one"),
    [
        ("127.0.0.1", {}, True),
        ("::1", {}, True),
        ("::ffff:127.0.0.1", {}, True),
        ("10.9.9.9", {}, True),
        ("::ffff:10.9.9.9", {}, True),
        ("fd00::7", {}, True),
        ("192.0.2.7", {}, False),
        ("::ffff:192.0.2.7", {}, False),
        ("", {}, False),
        ("127.0.0.1", {b"x-forwarded-for": b"127.0.0.1"}, False),
        ("127.0.0.1", {b"forwarded": b"for=127.0.0.1"}, False),
        ("127.0.0.1", {b"via": b"1.1 proxy"}, False),
        ("192.0.2.1", {b"x-forwarded-for": b"127.0.0.1, 192.0.2.9"}, False),
        ("192.0.2.1", {b"x-forwarded-for": b"10.1.1.1"}, True),
        ("192.0.2.1", {b"x-forwarded-for": b"unknown"}, False),
        ("192.0.2.1", {b"x-forwarded-for": b"10.1.1.1:99"}, True),
    ],
)
def test_an_operator_is_known_by_the_address_behind_trusted_proxies(peer, headers, is_one):
    operators = Operators("10.0.0.0/8, fd00::/8", Proxies("192.0.2.1"))

    assert operators.include(Exchange("GET", "/metrics", b"", headers, peer=peer, secure=False)) is is_one


@pytest.mark.parametrize("text", ["10.0.0.1/8", "localhost", "10.0.0.0/99"])
def test_a_network_that_is_none_is_refused_at_the_start(text):
    with pytest.raises(BadSettings, match="POLIS_METRICS_FROM"):
        Operators(text, Proxies(""))
    with pytest.raises(BadSettings, match="POLIS_TRUSTED_PROXIES"):
        Proxies(text)
