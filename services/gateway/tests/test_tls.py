"""TLS that ends at the gateway: what is spoken then, and certificates that are renewed while it serves."""

from __future__ import annotations

import asyncio
import re
import ssl

import aiohttp
import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption

from polis.gateway import certificate
from polis.gateway.certificate import BadCertificate, Certificate
from polis.service import health
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


async def test_who_never_begins_a_handshake_is_left(stage, issued, monkeypatch):
    monkeypatch.setattr(health, "_HANDSHAKE_S", 0.2)
    port = (await stage.start("gateway", **issued.settings)).port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    assert await asyncio.wait_for(reader.read(), 30) == b""
    writer.close()


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
