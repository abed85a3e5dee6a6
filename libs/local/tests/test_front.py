"""Where the gateway of a mesh is, and whether it is ready, with TLS and without."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from polis.local import mesh
from polis.local.health import faults_at
from polis.testing.certificates import Issued


@pytest.mark.parametrize(
    ("host", "address"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("localhost", "localhost")],
)
def test_the_address_says_whether_tls_ends_at_the_gateway(monkeypatch, host, address):
    plain = mesh.front(host, 8080)
    monkeypatch.setenv("POLIS_GATEWAY__TLS_CERTIFICATE", "tls.crt")

    assert plain.address == f"http://{address}:8080"
    assert mesh.front(host, 8080).address == f"https://{address}:8080"


async def answer(reader, writer):
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    writer.close()


async def test_a_gateway_of_its_own_is_asked_over_tls_whatever_its_certificate_says(tmp_path):
    issued = Issued(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(issued.chain, issued.key)
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]

        assert await faults_at("127.0.0.1", port, tls=True) == ""
        assert await faults_at("127.0.0.1", port) is None
