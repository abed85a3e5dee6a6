"""Clients of several gateways that forgive nothing: a connection that ends behind a request of theirs has failed it.

They keep a connection as long as they may, and take the next gateway when one refuses them, says `Connection: close`, or
has ended the connection between two requests.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

import msgspec

from polis.testing import eventually
from tests.chaos.history import History

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from random import Random

    from tests.chaos.processes import Process

ANSWER_S = 10.0
LONG_PATH = "/redoc.js"


class Answer(NamedTuple):
    """An answer, or the head of one."""

    status: int
    headers: dict[str, str]
    body: bytes


class Line:
    """One connection to one gateway."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int, *, buffer: int = 0) -> Line:
        plain = socket.socket()
        plain.setblocking(False)
        if buffer:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        try:
            await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", port))
        except OSError:
            plain.close()
            raise
        return cls(*await asyncio.open_connection(sock=plain, limit=buffer or 2**16))

    @property
    def ended(self) -> bool:
        return self._reader.at_eof() or self._writer.is_closing()

    def say(self, data: bytes) -> None:
        self._writer.write(data)

    async def hear(self) -> Answer:
        """A whole answer. ConnectionError when it does not come."""
        return await self.body_of(await self.head())

    async def head(self) -> Answer:
        """The head of an answer, whose body is still to come."""
        try:
            async with asyncio.timeout(ANSWER_S):
                lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        except (asyncio.IncompleteReadError, TimeoutError) as error:
            raise ConnectionError(f"no answer: {error!r}") from None
        headers = {n.lower(): v for n, _, v in (line.partition(": ") for line in lines[1:] if line)}
        return Answer(int(lines[0].split()[1]), headers, b"")

    async def body_of(self, answer: Answer) -> Answer:
        try:
            async with asyncio.timeout(ANSWER_S):
                body = await self._reader.readexactly(int(answer.headers.get("content-length", "0")))
        except (asyncio.IncompleteReadError, TimeoutError) as error:
            raise ConnectionError(f"an answer was cut: {error!r}") from None
        return answer._replace(body=body)

    def close(self) -> None:
        self._writer.close()


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: polis\r\n\r\n".encode()


def create_org(name: str, token: str, *more: str) -> bytes:
    body = msgspec.json.encode({"name": name})
    lines = (
        *("POST /api/v1/orgs HTTP/1.1", "Host: polis", f"Authorization: Bearer {token}"),
        *("Content-Type: application/json", f"Content-Length: {len(body)}", f"Idempotency-Key: {name}"),
    )
    return "\r\n".join((*lines, *more, "", "")).encode() + body


class Visitor:
    """Asks one gateway after another."""

    def __init__(self, ports: Sequence[int], first: int) -> None:
        self._ports = ports
        self._at = first
        self._line: Line | None = None

    async def ask(self, request: bytes, *, pause_s: float = 0.0) -> Answer:
        """ConnectionError unless it is answered with success. pause_s: between the two halves of the request."""
        line = await self._connected()
        if pause_s:
            line.say(request[: len(request) // 2])
            await asyncio.sleep(pause_s)
            line.say(request[len(request) // 2 :])
        else:
            line.say(request)
        answer = await line.hear()
        if answer.headers.get("connection") == "close":
            self.leave()
        if answer.status != 200:
            raise ConnectionError(f"{answer.status} {answer.body[:200]!r}")
        return answer

    async def _connected(self) -> Line:
        if self._line is not None and self._line.ended:
            self.leave()
        for _ in self._ports:
            if self._line is not None:
                break
            try:
                self._line = await Line.open(self._ports[self._at])
            except ConnectionRefusedError:
                self.leave()
        if self._line is None:
            raise ConnectionError("no gateway takes a connection")
        return self._line

    def leave(self) -> None:
        self._at = (self._at + 1) % len(self._ports)
        if self._line is not None:
            self._line.close()
            self._line = None


class Crowd:
    """Visitors at work: reads of the mesh and of long files, writes at once and in halves. Some rest between requests."""

    def __init__(self, gateways: Sequence[Process], token: str, dice: Random) -> None:
        self._ports = [gateway.port for gateway in gateways]
        self._token = token
        self._dice = dice
        self._run = uuid4().hex
        self._long = b""
        self.reads, self.writes = History(), History()
        self.ended = False

    async def work(self, number: int) -> None:
        visitor, count = Visitor(self._ports, number % len(self._ports)), 0
        while not self.ended:
            count += 1
            await self._visit(visitor, f"{self._run}-{number}-{count}")
            if number % 4 == 3:
                await asyncio.sleep(self._dice.uniform(0, 0.2))
        visitor.leave()

    async def _visit(self, visitor: Visitor, name: str) -> None:
        kind = self._dice.random()
        if kind < 0.3:
            with self.writes.invoke(name):
                await visitor.ask(
                    create_org(name, self._token),
                    pause_s=self._dice.choice((0, 0, self._dice.uniform(0, 0.3))),
                )
        elif kind < 0.35:
            with self.reads.invoke(name):
                answer = await visitor.ask(get(LONG_PATH))
                self._long = self._long or answer.body
                assert answer.body == self._long
        else:
            with self.reads.invoke(name):
                await visitor.ask(get(self._dice.choice(("/api/v1/jwks", "/health/live", "/docs/llms.txt"))))

    async def more(self, count: int, *, within_s: float = 60.0) -> None:
        """Wait until so many more requests are answered."""
        wanted = self._answered() + count
        await eventually(lambda: self._answered() >= wanted, within_s=within_s)

    def _answered(self) -> int:
        return self.reads.count("ok") + self.writes.count("ok")


@asynccontextmanager
async def crowd(
    gateways: Sequence[Process], token: str, dice: Random, *, visitors: int = 8
) -> AsyncIterator[Crowd]:
    """Visitors for as long as the block lasts. Each comes to the end of what it has begun."""
    crowd = Crowd(gateways, token, dice)
    async with asyncio.TaskGroup() as group:
        for number in range(visitors):
            group.create_task(crowd.work(number))
        try:
            yield crowd
        finally:
            crowd.ended = True


async def refuses(port: int) -> bool:
    """Whether nobody listens there any more."""
    try:
        (await Line.open(port)).close()
    except ConnectionRefusedError:
        return True
    return False
