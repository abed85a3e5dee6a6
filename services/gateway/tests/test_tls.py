"""TLS that ends at the gateway: what is spoken then, and certificates that are renewed while it serves."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from contextlib import AsyncExitStack, suppress
from types import SimpleNamespace

import aiohttp
import pytest
import uvloop
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption

from polis.gateway import certificate, handshakes
from polis.gateway.certificate import BadCertificate, Certificate
from polis.gateway.handshakes import Handshakes
from polis.gateway.proxies import Proxies
from polis.gateway.service import service
from polis.gateway.sites import Sites
from polis.service import serving
from polis.service.tasks import Tasks
from polis.testing import eventually
from polis.testing.certificates import Issued

ACCOUNT = {"email": "ada@example.org", "password": "a long enough password", "name": "Ada"}


@pytest.fixture(scope="module")
def issued(tmp_path_factory):
    return Issued(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
async def port(stage, issued):
    await stage.start("identity")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(certificate, "LOOK_S", 0.05)
        yield (await stage.start("gateway", **issued.settings)).port


@pytest.fixture
async def https(port, issued):
    connector = aiohttp.TCPConnector(ssl=issued.trusted())
    async with aiohttp.ClientSession(f"https://127.0.0.1:{port}", connector=connector) as https:
        yield https


@pytest.fixture
async def alone(stage, issued):
    """Starts one gateway, whatever else there are: what counts connections before anybody says HTTP."""
    async with AsyncExitStack() as stack:

        async def start(**changes):
            settings = stage.settings("gateway", **issued.settings, **changes)
            running = await stack.enter_async_context(serving(service, settings))
            return running.port, stack.aclose

        yield start


async def shown(port):
    """The certificate that a new connection is shown."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        return writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        writer.close()


async def test_calls_pages_sockets_and_events_are_served_over_tls(https):
    async with https.post("/api/v1/sign-up", json=ACCOUNT) as answered:
        token = (await answered.json())["access_token"]
    headers = {"Authorization": f"Bearer {token}"}

    async with https.get("/api/v1/me", headers=headers) as me, https.get("/") as page:
        assert (me.status, page.status) == (200, 200)
    async with https.ws_connect("/api/v1/live", headers=headers, protocols=["polis.v1.json"]) as live:
        await live.send_json({"op": "ping"})
        assert (await live.receive_json(timeout=30))["op"] == "pong"
    async with https.get("/api/v1/live?topic=org", headers=headers) as events:
        assert events.status == 200
        assert await events.content.readline()


async def test_cookies_are_those_of_a_secure_origin(https):
    given = ACCOUNT | {"email": "eve@example.org"}
    async with https.post("/api/v1/sign-up", json=given) as answered:
        assert answered.status == 200
    async with https.post("/api/v1/session", json={k: given[k] for k in ("email", "password")}) as opened:
        cookies = opened.headers.getall("Set-Cookie")

    assert any(cookie.startswith("__Host-polis_access=") for cookie in cookies)
    assert all("; Secure" in cookie for cookie in cookies)


async def test_what_is_no_tls_or_too_old_is_not_answered(port, issued):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b"HTTP/1.1 2" not in await asyncio.wait_for(reader.read(), 30)
    writer.close()

    old = issued.trusted()
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.open_connection("127.0.0.1", port, ssl=old)


async def test_who_never_begins_a_handshake_is_left(alone, monkeypatch):
    monkeypatch.setattr(handshakes, "HANDSHAKE_S", 0.2)
    port, _ = await alone()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    assert await asyncio.wait_for(reader.read(), 30) == b""
    writer.close()


@pytest.mark.parametrize(
    "bounds",
    [{"connections_per_address": 2}, {"connections": 2, "trusted_proxies": "127.0.0.1"}],
    ids=["of one address", "in all"],
)
async def test_so_many_handshakes_are_under_way_and_no_more(alone, issued, monkeypatch, bounds):
    monkeypatch.setattr(handshakes, "HANDSHAKE_S", 600.0)
    port, _ = await alone(**bounds)
    silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]

    async def served():
        try:
            return await shown(port) == issued.der
        except OSError:
            return False

    async def full():
        return not await served()

    assert await eventually(full)
    assert not any(reader.at_eof() for reader, _ in silent)
    silent[0][1].close()
    assert await eventually(served)
    silent[1][1].close()


async def test_connections_that_are_open_count_beside_handshakes(alone, issued):
    """A client that has agreed on TLS and says nothing holds its place; one that leaves gives it back."""
    port, _ = await alone(connections_per_address=2)
    context = issued.trusted()
    silent = [await asyncio.open_connection("127.0.0.1", port, ssl=context) for _ in range(2)]

    with pytest.raises((ConnectionError, ssl.SSLError)):
        await asyncio.open_connection("127.0.0.1", port, ssl=context)

    silent[0][1].close()

    async def served():
        try:
            return await shown(port) == issued.der
        except OSError:
            return False

    assert await eventually(served)
    silent[1][1].close()


async def test_a_live_socket_is_bounded_as_such_and_no_connection_any_more(alone, https, issued):
    async with https.post("/api/v1/sign-up", json=ACCOUNT | {"email": "tom@example.org"}) as answered:
        token = (await answered.json())["access_token"]
    port, _ = await alone(connections_per_address=1)
    origin, headers = f"https://127.0.0.1:{port}", {"Authorization": f"Bearer {token}"}

    async with (
        aiohttp.ClientSession(origin, connector=aiohttp.TCPConnector(ssl=issued.trusted())) as session,
        session.ws_connect("/api/v1/live", headers=headers, protocols=["polis.v1.json"]) as live,
    ):
        async with session.get("/health/live") as answered:
            assert answered.status == 200
        await live.send_json({"op": "ping"})
        assert (await live.receive_json(timeout=30))["op"] == "pong"


async def test_what_is_said_with_the_last_word_of_the_handshake_is_answered(port, issued):
    """As clients do that do not wait for the server's: of TLS 1.3 their last word is the handshake's."""
    said, heard = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = issued.trusted().wrap_bio(heard, said, server_hostname="127.0.0.1")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    while b"\r\n\r\n" not in answer:
        try:
            client.do_handshake()
            if not answer and client.pending() == 0 and said.pending:
                client.write(b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n")
            answer += client.read(4096)
        except ssl.SSLWantReadError:
            writer.write(said.read())
            heard.write(await asyncio.wait_for(reader.read(65536), 30))
    writer.close()

    assert answer.startswith(b"HTTP/1.1 200 ")


class Greeting(asyncio.Protocol):
    """Says hello, and is done."""

    def connection_made(self, transport):
        transport.write(b"hello")
        transport.close()


async def greeted(issued):
    async with Tasks() as tasks:
        sites = Sites(Proxies(""), most=1)
        edge = SimpleNamespace(connection=lambda **_: Greeting(), connections=set(), sites=sites)
        context = Certificate(issued.chain, issued.key).context
        agreed = Handshakes(edge, context, tasks, most=1)  # type: ignore[arg-type]
        state = SimpleNamespace(connections=set())
        server = await asyncio.get_running_loop().create_server(
            lambda: agreed.connection(server_state=state), "127.0.0.1", 0
        )
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=issued.trusted())
        said = await reader.read()
        writer.close()
        server.close()
        assert await tasks.join(30) == 0
        return said, state.connections


def test_handshakes_are_made_on_the_loop_that_services_run_on(issued):
    """Tests run on another."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(greeted(issued)) == (b"hello", set())


async def test_who_has_not_agreed_yet_is_let_go_when_the_port_closes(alone, monkeypatch):
    monkeypatch.setattr(handshakes, "HANDSHAKE_S", 600.0)
    port, stop = await alone(drain_s=60)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"\x16")

    async with asyncio.timeout(30):
        await stop()
        with suppress(ConnectionError):
            assert await reader.read() == b""
    writer.close()


async def test_who_comes_in_the_moment_in_which_the_port_closes_is_let_go(issued):
    plain, client = socket.socketpair()
    context = Certificate(issued.chain, issued.key).context
    edge = SimpleNamespace(connections=set(), sites=Sites(Proxies(""), most=1))
    with client:
        async with Tasks() as tasks:
            agreed = Handshakes(edge, context, tasks, most=1)  # type: ignore[arg-type]
            task = agreed.begin("192.0.2.1", plain, Greeting)
            task.cancel()
            await asyncio.wait([task])

        client.setblocking(False)
        assert client.recv(1) == b""


async def test_a_renewed_certificate_is_shown_to_new_connections(port, issued, https):
    async with https.get("/health/live") as before:
        assert before.status == 200
    assert await shown(port) == issued.der

    issued.write(days=60)

    async def renewed():
        return await shown(port) == issued.der

    await eventually(renewed)
    async with https.get("/metrics") as told:
        ends = re.search(
            r"^polis_tls_certificate_ends_timestamp_seconds (\S+)$", await told.text(), re.MULTILINE
        )
    assert ends
    assert float(ends[1]) == issued.ends.timestamp()


async def test_while_a_new_certificate_has_not_its_key_yet_the_one_before_is_shown(tmp_path):
    issued = Issued(tmp_path)
    kept = Certificate(issued.chain, issued.key)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=kept.context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        before = issued.der

        issued.write(chain=False)
        with pytest.raises(BadCertificate):
            await kept.look()
        assert await shown(port) == before

        issued.write()
        await kept.look()
        assert await shown(port) == issued.der != before


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda issued: issued.key.unlink(), "tls.key"),
        (lambda issued: issued.chain.write_text("no certificate"), "POLIS_TLS_CERTIFICATE"),
        (lambda issued: issued.write(chain=False), "POLIS_TLS_KEY"),
        (
            lambda issued: issued.write(encryption=BestAvailableEncryption(b"secret")),
            "POLIS_TLS_KEY",
        ),
    ],
    ids=["no key", "no certificate", "another key", "an encrypted key"],
)
async def test_a_gateway_that_could_show_no_certificate_does_not_start(stage, tmp_path, spoil, said):
    issued = Issued(tmp_path)
    spoil(issued)

    with pytest.raises(BadCertificate, match=said):
        await stage.start("gateway", **issued.settings)


async def test_a_key_without_a_certificate_is_no_setting(stage):
    with pytest.raises(BadCertificate, match="POLIS_TLS_CERTIFICATE and POLIS_TLS_KEY"):
        await stage.start("gateway", tls_key="tls.key")
