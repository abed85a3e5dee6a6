"""Finding a server, proving who it is, and logging in."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from polis.bus import AuthenticationFailed, Bus, Disconnected
from polis.bus.servers import Servers
from polis.local.ports import free_port
from polis.testing import eventually


def test_a_url_names_servers_and_who_we_are():
    servers = Servers("nats://me:p%40ss@one:4333,two,tls://[::1]:5000")

    assert [str(s) for s in servers.named] == ["one:4333", "two:4222", "::1:5000"]
    assert (servers.user, servers.password, servers.tls) == ("me", "p@ss", True)


def test_each_round_starts_with_another_server_and_knows_the_learned_ones():
    servers = Servers("nats://one,nats://two")
    servers.learn(["one:4222", "10.0.0.3:4222"])

    assert [[s.host for s in servers.next_round()] for _ in range(3)] == [
        ["one", "two", "10.0.0.3"],
        ["two", "10.0.0.3", "one"],
        ["10.0.0.3", "one", "two"],
    ]


async def test_a_wrong_password_is_told_at_once_and_a_right_one_in_the_url_is_taken(start):
    port = free_port()
    broker = start("-a", "127.0.0.1", "-p", str(port), "--user", "me", "--pass", "right", port=port)

    with pytest.raises(AuthenticationFailed, match="Authorization Violation"):
        await Bus.connect(broker.url, name="test", user="me", password="wrong")

    bus = await Bus.connect(f"nats://me:right@127.0.0.1:{port}", name="test")
    assert bus.connected
    await bus.close()


async def test_a_client_moves_to_a_server_that_it_only_knows_from_the_cluster(start, connect):
    ports, routes = [free_port(), free_port()], [free_port(), free_port()]
    one, two = [
        start(
            *("-a", "127.0.0.1", "-p", str(ports[n]), "--cluster_name", "c", "-n", f"n{n}"),
            *("--cluster", f"nats://127.0.0.1:{routes[n]}", "--routes", f"nats://127.0.0.1:{routes[1 - n]}"),
            port=ports[n],
        )
        for n in (0, 1)
    ]
    bus, other = await connect(one.url), await connect(two.url)
    back = asyncio.Event()
    bus.on_reconnect.append(back.set)
    await eventually(lambda: len(bus._link._address.servers.next_round()) == 2)

    one.kill()
    await asyncio.wait_for(back.wait(), 30)

    await other.subscribe("echo", lambda m: other.publish(m.reply, m.payload))
    assert (await bus.request("echo", b"here", timeout_s=2)).payload == b"here"


@pytest.fixture
def certificate(tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "nats")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, SHA256())
    )
    (tmp_path / "cert.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return tmp_path


async def why_not(url):
    """What is wrong with a server, however long an attempt takes on a loaded machine."""
    for timeout_s in (0.3, 3, 30):
        with pytest.raises(Disconnected) as refused:
            await Bus.connect(url, name="test", connect_timeout_s=timeout_s)
        if "no attempt has ended" not in str(refused.value):
            break
    return str(refused.value)


async def test_tls_is_spoken_with_a_server_that_can_prove_its_name(start, connect, certificate):
    port = free_port()
    tls = ("--tls", "--tlscert", str(certificate / "cert.pem"), "--tlskey", str(certificate / "key.pem"))
    start("-a", "127.0.0.1", "-p", str(port), *tls, port=port)
    url, trust = f"tls://127.0.0.1:{port}", ssl.create_default_context(cafile=str(certificate / "cert.pem"))

    bus = await connect(url, tls=trust)
    await bus.subscribe("echo", lambda m: bus.publish(m.reply, m.payload))

    assert (await bus.request("echo", b"x" * 500_000, timeout_s=5)).payload == b"x" * 500_000
    assert "begins with tls://" in await why_not(f"nats://127.0.0.1:{port}")
    assert "certificate" in await why_not(url)


async def test_no_password_is_sent_to_a_server_that_does_not_speak_tls(broker):
    assert "does not speak TLS" in await why_not(f"tls://me:secret@127.0.0.1:{broker.port}")
