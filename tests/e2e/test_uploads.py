"""Uploads in one request, and what is left in the catalog of those that break off."""

from __future__ import annotations

import asyncio

import aiohttp
import asyncpg
import pytest

from polis.testing import eventually


@pytest.fixture
async def held(mesh, ada):
    """Bytes and open uploads that count for ada's org; None before the first."""
    connection = await asyncpg.connect(mesh.database.admin_url)
    org_id = (await ada.call("GET", "/me"))["org_id"]

    async def held():
        query = "select stored_bytes, open_uploads from catalog.storage where org_id = $1"
        row = await connection.fetchrow(query, org_id)
        return None if row is None else tuple(row)

    yield held
    await connection.close()


async def test_a_client_that_goes_away_leaves_no_open_upload(ada, address, held):
    host, port = address.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    head = f"POST /api/v1/artifacts?name=x HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {ada.token}\r\n"
    writer.write(head.encode() + b"Content-Length: 2000000\r\n\r\n" + bytes(1_000_000))
    await writer.drain()

    async def begun():
        return await held() == (2_000_000, 1)

    await eventually(begun)
    writer.close()

    async def freed():
        return await held() == (0, 0)

    await eventually(freed)


async def test_a_file_with_a_wrong_checksum_holds_nothing(ada, address, held):
    headers = {"Authorization": f"Bearer {ada.token}"}
    url = f"{address}/api/v1/artifacts?name=x&sha256={'0' * 64}"
    async with aiohttp.ClientSession() as http, http.post(url, data=b"abc", headers=headers) as answer:
        assert answer.status == 422

    assert await held() == (0, 0)
