"""Header sections that were read before: what is found by its bytes is answered as what was parsed, and no secret is kept."""

from __future__ import annotations

import asyncio
import itertools
import json
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polis.cli.api import Api
from polis.gateway.direct import Direct
from polis.gateway.sections import Sections
from polis.proto.contract import operation_of
from polis.proto.identity import GetJwks
from polis.testing import eventually

JWKS = "/api/v1" + (operation_of(GetJwks).path or "")
ME = "/api/v1/me"
WRONG = json.dumps({"email": "nobody@example.org", "password": "a wrong password"})
SIGN_IN = "/api/v1/sign-in"
_COUNT = itertools.count()
OWN = ("x-request-id", "date", "ratelimit", "www-authenticate")
"""What two answers to the same need not share."""


@pytest.fixture(scope="module")
async def mesh(stage):
    await stage.start("identity")
    await stage.start("gateway")
    return stage


@pytest.fixture
def host():
    """One that nobody has named before."""
    return f"polis-{next(_COUNT)}"


def said(host: str, method: str, target: str, *headers: str, body: str = "") -> bytes:
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *headers]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


class Wire:
    """A connection to the gateway that says bytes and reads whole answers."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def ask(self, data: bytes):
        self.writer.write(data)
        return await self.hear()

    async def hear(self):
        """Status, headers and body of an answer; None when the connection has ended."""
        async with asyncio.timeout(30):
            try:
                head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                return None
            headers = {n.lower(): v for n, _, v in (line.partition(": ") for line in head[1:] if line)}
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return int(head[0].split()[1]), headers, body


@pytest.fixture
def wire(mesh):
    @asynccontextmanager
    async def open_one():
        reader, writer = await asyncio.open_connection("127.0.0.1", mesh.running["gateway"].port)
        try:
            yield Wire(reader, writer)
        finally:
            writer.close()

    return open_one


@pytest.fixture
def found(monkeypatch):
    """The requests that were found, and not parsed."""
    met = []
    look = Sections.read

    def read(self, data):
        met.append(look(self, data))
        return met[-1]

    monkeypatch.setattr(Sections, "read", read)
    return lambda: [one[:3] for one in met if one is not None]


def alike(answer):
    """An answer without what is its own."""
    status, headers, body = answer
    told = json.loads(body) if body else {}
    told.pop("instance", None)
    return status, {n: v for n, v in headers.items() if n not in OWN}, told


async def test_who_says_the_same_of_itself_again_is_answered_alike_without_being_parsed(wire, found, host):
    async with wire() as one, wire() as other:
        first = await one.ask(said(host, "GET", JWKS))
        again = await one.ask(said(host, "GET", JWKS))
        elsewhere = await other.ask(said(host, "GET", JWKS + "?x=1"))

    assert alike(first) == alike(again)
    assert elsewhere[0] == 422  # its query is read
    assert found() == [("GET", JWKS, b""), ("GET", JWKS, b"x=1")]


async def test_a_body_is_read_where_the_headers_are_known(wire, found, host):
    other = WRONG.replace("nobody", "anyone")
    async with wire() as one:
        answers = [
            await one.ask(said(host, "POST", SIGN_IN, body=body)) for body in (WRONG, other, "x" * len(WRONG))
        ]

    assert [status for status, _, _ in answers] == [401, 401, 400]
    assert len(found()) == 2


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/health/live",
        "/api/v1/session",
        "/api/v1/nothing",
        "/api/v1/artifacts/a/content",
        "/api/v1/live",
    ],
)
async def test_whoever_answers_a_path_answers_it_too_where_the_headers_are_known(
    wire, target, monkeypatch, host
):
    """Pages, ASGI, the gateway itself, nobody, what streams."""
    async with wire() as one:
        with monkeypatch.context() as without:
            without.setattr(Sections, "read", lambda *_: None)
            parsed = await one.ask(said(host, "GET", target))
        await one.ask(said(host, "GET", JWKS))
        known = await one.ask(said(host, "GET", target))

    assert (parsed[0], parsed[2][:40]) == (known[0], known[2][:40])


async def test_requests_that_come_together_or_in_parts_are_parsed_and_answered_in_order(wire, found, host):
    one_of_them = said(host, "GET", JWKS)
    async with wire() as one, wire() as other:
        await one.ask(one_of_them)
        one.writer.write(one_of_them * 3)
        together = [await one.hear() for _ in range(3)]
        one.writer.write(one_of_them[:30])
        await other.ask(said("other", "GET", "/api/v1/nothing", "X-Request-Id: a"))  # that part has arrived
        parted = await one.ask(one_of_them[30:])
        whole = await one.ask(one_of_them)

    assert [answer[0] for answer in (*together, parted, whole)] == [200] * 5
    assert len(found()) == 1


LINES = {
    "another version": "GET /api/v1/x HTTP/1.0",
    "no version": "GET /api/v1/x",
    "a space": "GET /api/v1/a b HTTP/1.1",
    "two spaces": "GET  /api/v1/x HTTP/1.1",
    "a fragment": "GET /api/v1/x#y HTTP/1.1",
    "an absolute form": "GET http://polis/api/v1/x HTTP/1.1",
    "control": "GET /api/v1/\x01 HTTP/1.1",
    "a bare line feed": "GET /api/v1/x HTTP/1.1\nX: y",
    "not ASCII": "GET /api/v1/\xe9 HTTP/1.1",
    "another method": "TRACE /api/v1/x HTTP/1.1",
    "none": "BREW /api/v1/x HTTP/1.1",
    "lower case": "get /api/v1/x HTTP/1.1",
    "long": f"GET /api/v1/{'x' * 9000} HTTP/1.1",
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
async def test_a_line_that_is_odd_is_the_parsers_though_what_stands_below_it_is_known(
    wire, found, line, host
):
    request = f"{line}\r\nHost: {host}\r\n\r\n".encode("latin-1")
    async with wire() as one, wire() as other:
        parsed = await one.ask(request)
        await other.ask(said(host, "GET", JWKS))
        known = await other.ask(request)

    assert (parsed and parsed[0]) == (known and known[0])
    assert found() == []  # not even what made them known, which came once


SECTIONS = {
    "a cookie": "Cookie: polis_access=a",
    "a key": "X-API-Key: pk_a",
    "a key as a token": "Authorization: Bearer pk_a",
    "a password": "Authorization: Basic YTpi",
    "a trace": "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "the client's own name for it": "X-Request-Id: a",
    "a key for repeats": "Idempotency-Key: a",
    "no connection behind it": "Connection: close",
    "a wish to hear": "Expect: 100-continue",
    "a value that is empty": "X-Nothing:",
    "a sign that is not ASCII": "X-Sign: \xe9",
}


@pytest.mark.parametrize("header", SECTIONS.values(), ids=SECTIONS)
async def test_secrets_and_what_does_not_come_again_are_not_kept(wire, found, header, host):
    async with wire() as one, wire() as other:
        for connection in (one, other):
            await connection.ask(said(host, "GET", JWKS, header).decode().encode("latin-1"))

    assert found() == []


async def test_a_token_that_has_ended_is_refused_where_its_headers_are_known(mesh, wire, found, host):
    async with Api(f"http://127.0.0.1:{mesh.running['gateway'].port}") as ada, wire() as one:
        await ada.sign_up()
        me = said(host, "GET", ME, f"Authorization: Bearer {ada.token}")
        before = [await one.ask(me) for _ in range(2)]
        await ada.call("POST", "/sign-out")

        async def refused() -> bool:
            return (await one.ask(me))[0] == 401

        await eventually(refused)

    assert [answer[0] for answer in before] == [200, 200]
    assert len(found()) > 1


async def test_a_head_that_has_not_ended_is_none_though_it_has_as_many_bytes_as_a_whole_request(
    wire, found, host
):
    """One that announces just what is there but for three bytes: what comes behind it is its body, and no other request."""
    line, smuggled = f"POST {SIGN_IN} HTTP/1.1", said("smuggled", "GET", "/api/v1/nothing")
    length = 0
    while length != (length := len(f"{line}\r\nHost: {host}\r\nContent-Length: {length}\r") - 3):
        pass
    head = f"{line}\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n".encode()
    body = smuggled + b" " * (length - len(smuggled))
    async with wire() as one, wire() as other:
        await one.ask(head + body)  # by now its headers are known
        one.writer.write(head[:-3])
        await other.ask(said("other", "GET", "/api/v1/nothing", "X-Request-Id: a"))  # that part has arrived
        whole = await one.ask(head[-3:] + body)
        behind = await one.ask(said(host, "GET", JWKS))

    assert length >= len(smuggled)
    assert whole[0] == 415  # the body says no media type
    assert behind[0] == 200
    assert found() == []


def test_no_part_of_a_request_is_taken_for_a_whole_one_whatever_it_announces():
    for length in range(120):
        sections = Sections()
        headers = {b"host": b"a", b"content-length": b"%d" % length}
        data = b"POST /api/v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (length, b"x" * length)
        exchange = Direct(None, "POST", "/api/v1/x", b"", headers, peer="", secure=False, keep_alive=True)
        sections.learn(data, exchange)

        assert sections.read(data) is not None
        assert [cut for cut in range(len(data)) if sections.read(data[:cut]) is not None] == []


def test_so_many_are_kept_and_no_more():
    sections = Sections()
    for number in range(3_000):
        sections.learn(*_read(f"h{number}"))
    known = [sections.read(_read(f"h{number}")[0]) is not None for number in range(3_000)]

    assert known[-1]
    assert sum(known) <= 1_024


def _read(host: str) -> tuple[bytes, Direct]:
    headers = {b"host": host.encode()}
    exchange = Direct(None, "GET", JWKS, b"", headers, peer="", secure=False, keep_alive=True)
    return said(host, "GET", JWKS), exchange


@settings(max_examples=300, deadline=None)
@given(
    line=st.text(st.sampled_from("GETPOS /api/v1xHT.\r\n?&%20#:"), max_size=40),
    below=st.text(st.sampled_from("Hostabc:; \t\r\n,01"), max_size=30),
    body=st.binary(max_size=8),
)
def test_what_is_found_is_what_was_said(line, below, body):
    """Of any bytes: the line, the section and the body, put together again, are the request."""
    sections = Sections()
    for request in (f"{line}\r\n{below}", f"GET /api/v1/x HTTP/1.1\r\nHost: a\r\n{below}"):
        data = request.encode() + b"\r\n\r\n" + body
        headers = {b"host": b"a", b"content-length": b"%d" % len(body)}
        sections.learn(data, Direct(None, "GET", "", b"", headers, peer="", secure=False, keep_alive=True))
        read = sections.read(data)
        if read is not None:
            method, path, query, section, found = read
            target = path + ("?" + query.decode() if query else "")
            assert data.startswith(
                (f"{method} {target} HTTP/1.1\r\n".encode(), f"{method} {target}? HTTP/1.1\r\n".encode())
            )
            assert data.endswith(b"\r\n\r\n" + found)
            assert b"\r\n\r\n" not in data[: len(data) - len(found) - 2]
            assert len(found) == section.announced == len(body)
