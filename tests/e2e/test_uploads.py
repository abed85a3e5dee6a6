"""Uploads in one request, and what is left in the catalog of those that break off."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import random

import aiohttp
import asyncpg
import pytest

from polis.telemetry import metrics
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


def uploads(status):
    """How many ended so, as the gateway counts them."""
    labels = {"operation": "upload_artifact", "status": status}
    return metrics.registry.get_sample_value("polis_requests_total", labels) or 0


async def test_a_client_that_goes_away_leaves_no_open_upload(ada, address, held):
    left, failed = uploads("499"), uploads("500")
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
    await eventually(lambda: uploads("499") == left + 1)
    assert uploads("500") == failed, "whoever goes away is no failure of ours"


async def test_a_file_with_a_wrong_checksum_holds_nothing(ada, address, held):
    headers = {"Authorization": f"Bearer {ada.token}"}
    url = f"{address}/api/v1/artifacts?name=x&sha256={'0' * 64}"
    async with aiohttp.ClientSession() as http, http.post(url, data=b"abc", headers=headers) as answer:
        assert answer.status == 422

    assert await held() == (0, 0)


@pytest.fixture
async def stored(mesh, ada):
    """Bytes that lie in the database for ada's org."""
    connection = await asyncpg.connect(mesh.database.admin_url)
    org_id = (await ada.call("GET", "/me"))["org_id"]

    async def stored():
        query = "select sum(octet_length(content)) from catalog.chunks where org_id = $1"
        return await connection.fetchval(query, org_id)

    yield stored
    await connection.close()


DATA = random.Random(11).randbytes(5 * 512 * 1024 + 321)
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
async def send(ada, address):
    """Requests as curl makes them: status, headers and body."""

    async def send(method, path, body=None, **headers):
        headers |= {"Authorization": f"Bearer {ada.token}"}
        body = None if body is None else io.BytesIO(body)
        async with http.request(method, f"{address}/api/v1{path}", data=body, headers=headers) as answer:
            return answer.status, answer.headers, await answer.read()

    async with aiohttp.ClientSession() as http:
        yield send


async def test_an_upload_that_was_interrupted_goes_on_with_the_parts_that_are_missing_and_the_same_content_is_stored_once(
    ada, address, send, stored
):
    announced = {"name": "big.bin", "size": len(DATA), "sha256": SHA256}
    upload = await ada.call("POST", "/uploads", announced)
    place, size = f"/uploads/{upload['id']}", upload["part_bytes"]
    for number in (0, 3):
        assert (await send("PUT", f"{place}/parts/{number}", DATA[number * size :][:size]))[0] == 200
    host, port = address.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    head = f"PUT /api/v1{place}/parts/1 HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {ada.token}\r\n"
    writer.write(head.encode() + b"Content-Length: %d\r\n\r\n" % size + DATA[size : size + 100_000])
    await writer.drain()
    writer.close()

    state = await ada.call("GET", place)
    assert (state["parts"], state["missing"]) == (6, [1, 2, 4, 5])
    assert (await send("POST", f"{place}/complete", b"{}", **{"Content-Type": "application/json"}))[0] == 422
    for number in state["missing"]:
        await send("PUT", f"{place}/parts/{number}", DATA[number * size :][:size])
    assert (await ada.call("GET", place))["missing"] == []
    artifact = await ada.call("POST", f"{place}/complete", {})

    assert (artifact["id"], artifact["sha256"]) == (upload["id"], SHA256)
    assert (await send("GET", f"/artifacts/{artifact['id']}/content"))[2] == DATA
    assert (await send("GET", place))[0] == 404
    assert (await send("POST", "/artifacts?name=again.bin", DATA))[0] == 200
    assert await stored() == len(DATA)


async def test_a_download_that_was_interrupted_goes_on_where_it_ended(send):
    _, _, told = await send("POST", "/artifacts?name=big.bin", DATA)
    path = f"/artifacts/{json.loads(told)['id']}/content"
    status, headers, body = await send("GET", path, Range="bytes=0-599999")
    tag = headers["ETag"]
    assert (status, len(body)) == (206, 600_000)

    status, headers, rest = await send("GET", path, Range="bytes=600000-", **{"If-Range": tag})
    assert (status, body + rest) == (206, DATA)
    assert headers["Content-Range"] == f"bytes 600000-{len(DATA) - 1}/{len(DATA)}"
    assert (await send("GET", path, Range="bytes=-321"))[2] == DATA[-321:]
    status, _, whole = await send("GET", path, Range="bytes=600000-", **{"If-Range": '"another"'})
    assert (status, whole) == (200, DATA)
    assert (await send("GET", path, Range=f"bytes={len(DATA)}-"))[0] == 416
    assert (await send("GET", path, **{"If-None-Match": tag}))[0] == 304
    status, headers, body = await send("HEAD", path)
    assert (status, int(headers["Content-Length"]), body) == (200, len(DATA), b"")
