"""Connections against real sockets: framing, order, bounds, and what happens when either side goes away."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import AsyncExitStack

import jsonschema
import pytest

from polis.gateway import connection
from polis.gateway.service import service as gateway
from polis.proto.contract import operation_of
from polis.proto.identity import GetJwks
from polis.service import serving
from polis.specs.openapi import openapi
from polis.telemetry import metrics
from polis.testing import eventually

TOKEN = "t"
BLANK = openapi("gateway")["components"]["schemas"]["BlankProblem"]
HOST = b"Host: polis\r\n"
BODY = b'{"key": "a", "name": "A"}'
JSON = b"Content-Type: application/json\r\n"


@pytest.fixture(scope="module")
async def mesh(stage):
    await stage.start("identity")
    await stage.start("gateway", connections=200)
    return stage


@pytest.fixture
def port(mesh):
    return mesh.running["gateway"].port


class Client:
    """A socket that says what it is told, byte by byte if need be, and reads whole answers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def say(self, data: bytes) -> None:
        self.writer.write(data)

    async def hear(self) -> tuple[int, dict[str, str], bytes]:
        """One answer; (0, {}, b"") when the connection has ended."""
        async with asyncio.timeout(30):
            try:
                head = await self.reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                return 0, {}, b""
            lines = head.decode().split("\r\n")
            headers = {n.lower(): v for n, _, v in (line.partition(": ") for line in lines[1:] if line)}
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
            return int(lines[0].split()[1]), headers, body

    async def ended(self) -> bool:
        async with asyncio.timeout(30):
            try:
                return await self.reader.read() == b""
            except ConnectionError:
                return True


@pytest.fixture
async def connect(port):
    opened: list[asyncio.StreamWriter] = []

    async def connect() -> Client:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        opened.append(writer)
        return Client(reader, writer)

    yield connect
    for writer in opened:
        writer.close()


@pytest.fixture
async def client(connect):
    return await connect()


def get(path: bytes, *lines: bytes) -> bytes:
    return b"GET %b HTTP/1.1\r\n%b%b\r\n" % (path, HOST, b"".join(line + b"\r\n" for line in lines))


def post(path: bytes, body: bytes, *lines: bytes) -> bytes:
    more = b"".join(line + b"\r\n" for line in lines)
    head = b"POST %b HTTP/1.1\r\n%b%b%bContent-Length: %d\r\n\r\n" % (path, HOST, JSON, more, len(body))
    return head + body


JWKS = b"/api/v1" + (operation_of(GetJwks).path or "").encode()
SIGN_IN = b"/api/v1/sign-in"
WRONG = b'{"email": "nobody@example.org", "password": "a wrong password"}'


async def test_requests_on_one_connection_are_answered_one_after_another(client):
    for number in range(3):
        client.say(get(JWKS, b"X-Request-Id: r%d" % number))
        status, headers, body = await client.hear()

        assert (status, headers["x-request-id"]) == (200, f"r{number}")
        assert json.loads(body)["keys"]


async def test_pipelined_requests_are_answered_in_their_order_whoever_answers_them(client):
    """Direct, local, ASGI, refused by the gateway, refused by the service: the last is no faster than the first."""
    paths = [
        JWKS,
        b"/health/live",
        b"/api/v1/nothing",
        JWKS,
        b"/",
        b"/api/v1/session",
        b"/api/v1/artifacts",
        JWKS,
    ]
    expected = [200, 200, 404, 200, 200, 401, 401, 200]
    client.say(b"".join(get(path, b"X-Request-Id: r%d" % n) for n, path in enumerate(paths)))
    heard = []
    async with asyncio.timeout(30):
        heard += [await client.hear() for _ in paths]

    assert [status for status, _, _ in heard] == expected
    assert [h["x-request-id"] for _, h, _ in heard if "x-request-id" in h] == [
        "r0",
        "r1",
        "r2",
        "r3",
        "r5",
        "r6",
        "r7",
    ]


async def test_a_request_may_come_byte_by_byte(client):
    for byte in post(SIGN_IN, WRONG):
        client.say(bytes([byte]))
        await client.writer.drain()

    assert (await client.hear())[0] == 401


async def test_a_chunked_body_is_taken_and_its_trailers_are_not(client):
    chunks = b"%x\r\n%b\r\n0\r\nX-Request-Id: from-a-trailer\r\n\r\n" % (len(WRONG), WRONG)
    client.say(
        b"POST %b HTTP/1.1\r\n%b%bTransfer-Encoding: chunked\r\n\r\n%b" % (SIGN_IN, HOST, JSON, chunks)
    )
    status, headers, _ = await client.hear()

    assert status == 401
    assert headers["x-request-id"] != "from-a-trailer"


@pytest.mark.parametrize(
    ("path", "status"), [(SIGN_IN, 431), (b"/api/v1/artifacts", 401)], ids=["refused", "answered"]
)
@pytest.mark.parametrize("behind", [b"0\r\nX-One: ", b"0\r\n" + b"X-One: a\r\n" * 50, b"2;"])
async def test_trailers_without_an_end_are_not_kept(client, path, status, behind):
    client.say(post(path, b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked"))
    client.say(behind)
    client.say(b"a" * 200_000)

    assert (await client.hear())[0] == status
    assert await client.ended()


async def test_a_body_may_come_in_many_parts_and_with_much_of_each(client):
    parts = [b" " * 1000] * 190 + [WRONG]
    client.say(post(SIGN_IN, b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked"))
    for part in parts:
        client.say(b"%x;a=%b\r\n%b\r\n" % (len(part), b"b" * 1000, part))
    client.say(b"0\r\n\r\n" + get(JWKS))

    assert [(await client.hear())[0] for _ in range(2)] == [401, 200]


async def test_who_expects_100_continue_gets_it_only_when_the_body_is_wanted(connect):
    client, unwanted = await connect(), await connect()
    head, _, body = post(SIGN_IN, WRONG, b"Expect: 100-continue").partition(b"\r\n\r\n")
    client.say(head + b"\r\n\r\n")
    async with asyncio.timeout(30):
        interim = await client.reader.readuntil(b"\r\n\r\n")
    client.say(body)
    unwanted.say(
        post(b"/api/v1/agents", BODY, b"Expect: 100-continue").partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    )

    assert interim == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert (await client.hear())[0] == 401
    assert (await unwanted.hear())[0] == 401


async def test_a_refused_body_that_is_small_leaves_the_connection_open(client):
    client.say(post(b"/api/v1/agents", BODY) + get(JWKS))

    assert [(await client.hear())[0] for _ in range(2)] == [401, 200]


@pytest.mark.parametrize("method", [b"GET", b"DELETE", b"OPTIONS"])
async def test_a_refused_request_without_a_body_leaves_the_connection_open(client, method):
    """One at a time, so that it is refused before it is known where its message ends."""
    client.say(get(b"/api/v1/nothing").replace(b"GET", method))
    refused = await client.hear()
    client.say(get(JWKS))

    assert [refused[0], (await client.hear())[0]] == [404, 200]


async def test_a_refused_body_that_is_large_ends_the_connection_behind_the_answer(client):
    client.say(b"POST /api/v1/agents HTTP/1.1\r\n%bContent-Length: 500000\r\n\r\nabc" % HOST)
    status, headers, _ = await client.hear()

    assert (status, headers["connection"]) == (401, "close")
    assert await client.ended()


async def test_a_body_over_the_bound_is_refused_while_it_arrives(client):
    client.say(b"POST %b HTTP/1.1\r\n%b%bTransfer-Encoding: chunked\r\n\r\n" % (SIGN_IN, HOST, JSON))
    part = bytes(60_000)
    for _ in range(40):
        client.say(b"%x\r\n%b\r\n" % (len(part), part))

    assert (await client.hear())[0] == 413


async def test_head_answers_without_a_body_and_http_1_0_ends_the_connection(connect):
    head, old = await connect(), await connect()
    head.say(b"HEAD %b HTTP/1.1\r\n%b\r\n" % (JWKS, HOST))
    old.say(b"GET %b HTTP/1.0\r\n\r\n" % JWKS)
    async with asyncio.timeout(30):
        told = await head.reader.readuntil(b"\r\n\r\n")
    status, headers, body = await old.hear()

    assert b" 200 " in told
    assert int(re.search(rb"content-length: (\d+)", told)[1]) > 0  # type: ignore[index]
    assert (status, headers["connection"]) == (200, "close")
    assert body
    assert await old.ended()


async def test_a_client_that_closes_its_side_still_gets_its_answer(client):
    client.say(get(JWKS))
    client.writer.write_eof()

    assert (await client.hear())[0] == 200
    assert await client.ended()


SMUGGLED: dict[str, bytes] = {
    "two lengths that differ": b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "two lengths that agree": b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "a list of lengths": b"Content-Length: 3, 3\r\n\r\nabc",
    "a length with a sign": b"Content-Length: +3\r\n\r\nabc",
    "a negative length": b"Content-Length: -3\r\n\r\nabc",
    "a length in hex": b"Content-Length: 0x3\r\n\r\nabc",
    "a huge length": b"Content-Length: 99999999999999999999999\r\n\r\nabc",
    "an empty length": b"Content-Length: \r\n\r\nabc",
    "length and chunked": b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked and length": b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    "another coding": b"Transfer-Encoding: gzip\r\n\r\nabc",
    "chunked not last": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "chunked twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked behind another": b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "nearly chunked": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked with a tab": b"Transfer-Encoding:\tchunked\x0b\r\n\r\n0\r\n\r\n",
    "a space before the colon": b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a folded line": b"X-One: a\r\n b\r\n\r\n",
    "a folded coding": b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "a line without a colon": b"nonsense\r\n\r\n",
    "a null byte": b"X-One: a\0b\r\n\r\n",
    "a bare carriage return": b"X-One: a\rX-Two: b\r\n\r\n",
    "two hosts": b"Host: other\r\n\r\n",
    "two tokens": b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n",
    "an invalid chunk size": b"Transfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n0\r\n\r\n",
    "a signed chunk size": b"Transfer-Encoding: chunked\r\n\r\n+3\r\nabc\r\n0\r\n\r\n",
    "a huge chunk size": b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    "a chunk longer than it says": b"Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
    "a chunk that ends in a line feed": b"Transfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n",
}


@pytest.mark.parametrize("lines", SMUGGLED.values(), ids=SMUGGLED)
@pytest.mark.parametrize("path", [SIGN_IN, b"/", b"/api/v1/artifacts?name=x"], ids=["direct", "page", "asgi"])
async def test_what_two_servers_could_read_in_two_ways_is_refused_and_ends_the_connection(
    client, path, lines
):
    client.say(
        b"POST %b HTTP/1.1\r\n%b%b" % (path, HOST, JSON) + lines + get(JWKS, b"X-Request-Id: smuggled")
    )
    async with asyncio.timeout(30):
        everything = await client.reader.read()

    assert everything.startswith(b"HTTP/1.1 4")
    assert b"connection: close" in everything.lower()
    assert b"smuggled" not in everything


HEADS: dict[str, tuple[bytes, int]] = {
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "a host that is none": (b"GET / HTTP/1.1\r\nHost: a/b@c\r\n\r\n", 400),
    "HTTP/2.0": (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    "HTTP/0.9": (b"GET /\r\n\r\n", 505),
    "an unknown method": (b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "another server's address": (b"GET http://other/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a fragment": (b"GET /#a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a long path": (b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % (b"a" * 9000), 414),
    "a long header": (b"GET / HTTP/1.1\r\nHost: a\r\nX-One: %b\r\n\r\n" % (b"a" * 40_000), 431),
    "many headers": (
        b"GET / HTTP/1.1\r\nHost: a\r\n%b\r\n" % b"".join(b"x%d: a\r\n" % n for n in range(150)),
        431,
    ),
    "a head without an end": (b"GET / HTTP/1.1\r\nHost: a\r\nX-One: " + b"a" * 300_000, 431),
    "no HTTP at all": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
}


@pytest.mark.parametrize(("data", "status"), HEADS.values(), ids=HEADS)
async def test_a_head_that_is_none_is_refused_with_a_problem(client, data, status):
    client.say(data)
    got, headers, body = await client.hear()

    assert (got, headers["content-type"], headers["connection"]) == (
        status,
        "application/problem+json",
        "close",
    )
    jsonschema.validate(json.loads(body), {"allOf": [BLANK, {"properties": {"status": {"const": status}}}]})


async def test_an_answer_that_is_due_is_given_before_a_malformed_request_ends_the_connection(client):
    client.say(get(JWKS) + b"nonsense\r\n\r\n")

    assert (await client.hear())[0] == 200
    assert await client.ended()


async def test_who_is_slow_with_a_head_or_a_body_or_silent_is_let_go(connect, monkeypatch):
    monkeypatch.setattr(connection, "HEAD_S", 0.2)
    monkeypatch.setattr(connection, "BODY_PAUSE_S", 0.2)
    monkeypatch.setattr(connection, "KEEP_ALIVE_S", 0.2)
    mute, head, body, idle = [await connect() for _ in range(4)]
    head.say(b"GET / HTTP/1.1\r\nHost")
    body.say(post(SIGN_IN, WRONG)[:-3])
    idle.say(get(JWKS))

    assert (await head.hear())[0] == 408
    assert (await body.hear())[0] == 408
    assert (await idle.hear())[0] == 200
    assert all([await client.ended() for client in (mute, head, body, idle)])


@pytest.mark.parametrize(
    "path", [b"/", b"/health/live", b"/api/v1/artifacts/a/content"], ids=["page", "health", "stream"]
)
async def test_who_never_ends_a_body_that_nobody_reads_is_let_go(client, path, monkeypatch):
    monkeypatch.setattr(connection, "BODY_PAUSE_S", 0.2)
    client.say(get(path, b"Content-Length: 10") + b"abc")

    assert (await client.hear())[0] in (200, 401)
    assert await client.ended()


async def test_a_body_that_nobody_reads_may_end_behind_its_answer(client):
    client.say(get(b"/health/live", b"Content-Length: 10") + b"abc")
    statuses = [(await client.hear())[0]]
    client.say(b"defghij" + get(JWKS))
    statuses.append((await client.hear())[0])

    assert statuses == [200, 200]


async def test_a_body_that_trickles_for_ever_is_let_go(client, monkeypatch):
    monkeypatch.setattr(connection, "BODY_S", 0.5)
    client.say(b"POST %b HTTP/1.1\r\n%b%bContent-Length: 100000\r\n\r\n" % (SIGN_IN, HOST, JSON))

    async def trickle() -> None:
        while True:
            client.say(b" ")
            await asyncio.sleep(0.05)

    trickling = asyncio.ensure_future(trickle())
    try:
        assert (await client.hear())[0] == 408
    finally:
        trickling.cancel()


async def test_beyond_so_many_connections_one_is_told_so(connect):
    clients = [await connect() for _ in range(201)]
    status, _, _ = await clients[-1].hear()

    assert status == 503
    for client in clients:
        client.writer.close()

    async def room() -> bool:
        fresh = await connect()
        fresh.say(get(JWKS))
        answered = (await fresh.hear())[0] == 200
        fresh.writer.close()
        return answered

    await eventually(room)


async def test_who_is_told_so_does_not_keep_the_connection(mesh, monkeypatch):
    monkeypatch.setattr(connection, "LINGER_S", 0.1)
    async with serving(gateway, mesh.settings("gateway", connections=1)) as running:
        first, beyond = [Client(*await asyncio.open_connection("127.0.0.1", running.port)) for _ in range(2)]
        assert (await beyond.hear())[0] == 503

        async def over():
            beyond.say(b" ")
            try:
                await beyond.writer.drain()
            except ConnectionError:
                return True
            return beyond.writer.transport.is_closing()

        assert await eventually(over, within_s=10)
        for client in (first, beyond):
            client.writer.close()


async def test_one_address_holds_so_many_connections_and_no_more(mesh, told):
    def refused():
        return metrics.registry.get_sample_value("polis_connections_refused_total", {"bound": "site"}) or 0

    before = refused()
    async with serving(gateway, mesh.settings("gateway", connections_per_address=3)) as running:

        async def asked(address="127.0.0.1"):
            """Who connects and asks, and what is answered."""
            streams = await asyncio.open_connection("127.0.0.1", running.port, local_addr=(address, 0))
            client = Client(*streams)
            client.say(get(JWKS))
            return client, (await client.hear())[0]

        held = [await asked() for _ in range(3)]
        beyond = [await asked() for _ in range(3)]
        other = await asked("127.0.0.2")

        assert [status for _, status in held] == [200] * 3
        assert [status for _, status in beyond] == [0] * 3
        assert other[1] == 200
        assert refused() - before == 3
        lines = [line for line in told if line["event"] == "connections.refused"]
        assert [(line["site_pii"], line["most"], line["refused"]) for line in lines] == [("127.0.0.1", 3, 1)]

        held[0][0].writer.close()

        async def room():
            client, status = await asked()
            client.writer.close()
            return status == 200

        assert await eventually(room)
        for client, _ in (*held, *beyond, other):
            client.writer.close()


async def test_a_trusted_proxy_holds_as_many_as_there_may_be(mesh):
    settings = mesh.settings("gateway", connections_per_address=1, trusted_proxies="127.0.0.1")
    async with serving(gateway, settings) as running:
        clients = [Client(*await asyncio.open_connection("127.0.0.1", running.port)) for _ in range(3)]
        for client in clients:
            client.say(get(JWKS))
            assert (await client.hear())[0] == 200
        for client in clients:
            client.writer.close()


async def test_many_pipelined_requests_end_the_connection_behind_a_bounded_number(client):
    client.say(get(JWKS) * 500)
    answers = 0
    while (await client.hear())[0] == 200:
        answers += 1

    assert 1 <= answers <= 70


async def until_told_to_go(client, path):
    """Ask, and ask again, as long as the connection is kept."""
    while True:
        client.say(get(path))
        status, headers, _ = await client.hear()
        assert status == 200
        if headers.get("connection") == "close":
            return


async def test_a_stopping_gateway_answers_what_it_has_taken_and_one_more_and_lets_the_idle_go(mesh):
    stack = AsyncExitStack()
    running = await stack.enter_async_context(serving(gateway, mesh.settings("gateway")))
    clients = [Client(*await asyncio.open_connection("127.0.0.1", running.port)) for _ in range(5)]
    busy, late, idle, asking, reading = clients
    for client in clients:
        client.say(get(JWKS))
        assert (await client.hear())[0] == 200
    busy.say(post(SIGN_IN, WRONG)[:-1])
    late.say(get(JWKS)[:20])
    for client in (busy, late):
        await client.writer.drain()
    idle.say(get(JWKS))
    assert (await idle.hear())[0] == 200  # so what came before is read, too
    stopping = asyncio.create_task(stack.aclose())

    await asyncio.gather(until_told_to_go(asking, JWKS), until_told_to_go(reading, b"/docs/schemas.json"))
    late.say(get(JWKS)[20:])
    assert (await late.hear())[1]["connection"] == "close"
    assert await idle.ended()
    busy.say(WRONG[-1:])
    status, headers, _ = await busy.hear()
    await stopping

    assert (status, headers["connection"]) == (401, "close")
    for client in clients:
        assert await client.ended()
        client.writer.close()
