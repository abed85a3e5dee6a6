"""A load client without wrk: so many connections, each with one request in flight, on raw sockets under uvloop."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from urllib.parse import urlsplit

import uvloop

from tests.bench.load import Ask


class Loop:
    """All connections of one run."""

    def __init__(self, ask: Ask, seconds: float, run: int) -> None:
        self.until = time.perf_counter() + seconds
        self.waits: list[float] = []
        self.bad = b""
        self._numbers = iter(range(1 << 60))
        self._run = run
        at = urlsplit(ask.url)
        target = at.path + (f"?{at.query}" if at.query else "")
        lines = [f"{ask.method} {target} HTTP/1.1", f"Host: {at.netloc}"]
        lines += [f"{name}: {value}" for name, value in ask.headers.items()]
        self._head = "\r\n".join(lines).encode()
        self._body = ask.body.encode()

    def request(self) -> bytes:
        body = self._body.replace(b"#", b"%d-%d" % (self._run, next(self._numbers)))
        length = b"\r\nContent-Length: %d" % len(body) if body else b""
        return self._head + length + b"\r\n\r\n" + body


class Connection(asyncio.Protocol):
    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._got = b""
        self._sent = 0.0
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        got = self._got = self._got + data if self._got else data
        end = got.find(b"\r\n\r\n")
        if end < 0 or len(got) < end + 4 + _length(got[:end].lower()):
            return
        self._got = b""
        if got[9:10] != b"2":
            self._loop.bad = got[:300]
        self._loop.waits.append(time.perf_counter() - self._sent)
        self._send()

    def connection_lost(self, _: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)

    def _send(self) -> None:
        self._sent = time.perf_counter()
        if self._sent < self._loop.until:
            self._transport.write(self._loop.request())
        else:
            self._transport.close()


def _length(head: bytes) -> int:
    at = head.find(b"content-length:")
    return int(head[at + 15 :].partition(b"\r\n")[0]) if at >= 0 else 0


async def main() -> None:
    url, method, token, body, seconds, connections, run = json.loads(sys.stdin.read())
    ask = Ask(url, method, token, body)
    place = urlsplit(url)
    loop = Loop(ask, seconds, run)
    began = time.perf_counter()
    made = [
        await asyncio.get_running_loop().create_connection(
            lambda: Connection(loop), place.hostname, place.port
        )
        for _ in range(connections)
    ]
    await asyncio.gather(*(protocol.closed for _, protocol in made))
    took = time.perf_counter() - began
    if loop.bad or not loop.waits:
        sys.exit(loop.bad.decode(errors="replace") or "no answers")
    waits = sorted(loop.waits)
    found = (len(waits) / took, waits[len(waits) // 2] * 1000, waits[len(waits) * 99 // 100] * 1000)
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    uvloop.run(main())
