"""Cut connections and a killed catalog: a file of the largest size goes up and comes down whole, and lies in nobody's memory."""

from __future__ import annotations

import asyncio
import hashlib
import json

import aiohttp
import psutil
import pytest

from polis.proto.catalog import MAX_ARTIFACT_BYTES

SMALL_BYTES = 3 * 1024 * 1024 + 321
SENDERS = 4
CHUNK = 64 * 1024
HELD_BYTES = 32 * 1024 * 1024
"""What a process may grow by while a file passes: some parts, and a third of the largest file."""


class Client:
    """Sends and reads files as curl does."""

    def __init__(self, http, url):
        self._http = http
        self._url = url

    async def call(self, method, path, **more):
        async with self._http.request(method, f"{self._url}{path}", **more) as answer:
            return answer.status, json.loads(await answer.read() or b"null")

    async def up(self, content):
        """In one request, as it is read from a disk."""

        async def pieces():
            for start in range(0, len(content), CHUNK):
                yield content[start : start + CHUNK]

        length = {"Content-Length": str(len(content))}
        return await self.call("POST", "/artifacts?name=whole.bin", data=pieces(), headers=length)

    async def part(self, upload, number, content):
        size = upload["part_bytes"]
        piece = content[number * size :][:size]
        try:
            return (await self.call("PUT", f"/uploads/{upload['id']}/parts/{number}", data=piece))[0]
        except aiohttp.ClientError:
            return 0

    async def down(self, artifact_id, *, most=None, **headers):
        """Status, validator and what came; after `most` bytes the connection is cut."""
        path = f"{self._url}/artifacts/{artifact_id}/content"
        got = bytearray()
        async with self._http.get(path, headers=headers) as answer:
            async for piece in answer.content.iter_chunked(CHUNK):
                got += piece
                if most is not None and len(got) >= most:
                    answer.close()
                    break
            return answer.status, answer.headers.get("ETag", ""), bytes(got)


@pytest.fixture
async def client(mesh):
    await mesh.start("catalog")
    gateway = await mesh.start("gateway", sockets_per_principal=50)
    headers = {"Authorization": f"Bearer {mesh.token}"}
    async with aiohttp.ClientSession(headers=headers) as http:
        yield Client(http, f"http://127.0.0.1:{gateway.port}/api/v1")


@pytest.fixture
def content(dice, full):
    return dice.randbytes(MAX_ARTIFACT_BYTES if full else SMALL_BYTES)


async def test_the_largest_files_arrive_whole(client, mesh, content, dice):
    upload = await begun(client, content)
    numbers = list(range(-(-len(content) // upload["part_bytes"])))
    dice.shuffle(numbers)

    half = len(numbers) // 2
    await send(client, upload, numbers[:half], content)
    catalog = mesh.processes["catalog"]
    sending = asyncio.create_task(send(client, upload, numbers[half : half + SENDERS], content))
    catalog.kill()
    catalog.start()
    await catalog.ready()
    lost = await sending

    grown = Grown(mesh.processes["gateway"], catalog)
    state = (await client.call("GET", f"/uploads/{upload['id']}"))[1]
    assert set(state["missing"]) <= {*numbers[half:]}
    assert lost <= set(state["missing"])
    while state["missing"]:
        assert await send(client, upload, state["missing"], content) == set()
        state = (await client.call("GET", f"/uploads/{upload['id']}"))[1]
    status, artifact = await client.call("POST", f"/uploads/{upload['id']}/complete", json={})
    assert (status, artifact["size"]) == (200, len(content))

    await read_back(client, artifact["id"], content, dice)
    other = content[::-1]
    status, whole = await client.up(other)
    assert (status, whole["sha256"]) == (200, hashlib.sha256(other).hexdigest())
    assert await client.down(whole["id"]) == (200, f'"{whole["sha256"]}"', other)
    print(grown)
    assert grown.most() < HELD_BYTES, grown


async def begun(client, content):
    announced = {"name": "big.bin", "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    status, upload = await client.call("POST", "/uploads", json=announced)
    assert status == 200, upload
    return upload


async def send(client, upload, numbers, content):
    """Send parts, a few at a time; those that were not taken."""
    waiting, lost = list(numbers), set()

    async def sender():
        while waiting:
            number = waiting.pop()
            if await client.part(upload, number, content) != 200:
                lost.add(number)

    async with asyncio.TaskGroup() as group:
        for _ in range(SENDERS):
            group.create_task(sender())
    return lost


async def read_back(client, artifact_id, content, dice):
    """Cut, resumed, and in ranges anywhere."""
    status, tag, begun = await client.down(artifact_id, most=dice.randrange(1, len(content)))
    assert status == 200
    assert content.startswith(begun)
    rest = {"Range": f"bytes={len(begun)}-", "If-Range": tag}
    status, _, more = await client.down(artifact_id, **rest)
    assert (status, begun + more == content) == ((206, True) if len(begun) < len(content) else (416, False))
    for _ in range(5):
        first = dice.randrange(len(content))
        last = min(len(content) - 1, first + dice.randrange(2 * 1024 * 1024))
        status, _, piece = await client.down(artifact_id, Range=f"bytes={first}-{last}")
        assert (status, piece == content[first : last + 1]) == (206, True)


class Grown:
    """By how many bytes the resident memory of processes grows at the most, in what the kernel remembers."""

    def __init__(self, *processes):
        self._pids = [process.child.pid for process in processes]
        self._before = [psutil.Process(pid).memory_info().rss for pid in self._pids]

    def most(self):
        return max(peak(pid) - before for pid, before in zip(self._pids, self._before, strict=True))

    def __repr__(self):
        return f"grown by {self.most() >> 20} MiB"


def peak(pid):
    with open(f"/proc/{pid}/status") as status:  # noqa: PTH123 - no file of a disk
        [line] = [line for line in status if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024
