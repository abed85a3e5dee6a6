"""One WebSocket against a real socket: how it closes, what a client may leave unread, and whom it takes for gone."""

from __future__ import annotations

import asyncio
import socket as plain

import pytest

from polis.gateway.websocket import frames, socket, sockets
from polis.gateway.websocket.frames import BINARY, CLOSE, PING, PONG, TEXT
from polis.gateway.websocket.socket import TOO_SLOW, WebSocket
from polis.gateway.websocket.sockets import Bounds, Sockets
from polis.testing import eventually
from polis.testing.frames import said

BOUNDS = Bounds(message_bytes=1_000, held_bytes=300_000, rate=1_000, burst=100)


class Echo:
    """Says what it hears. `told_at` is when it last spoke."""

    def __init__(self, socket: WebSocket) -> None:
        self.socket = socket
        self.told_at = 0.0
        self.heard: list[str | bytes] = []
        self.looks = 0
        self.is_lost = False

    def receive(self, message: str | bytes) -> None:
        self.heard.append(message)
        self.socket.write(
            frames.text(message.encode()) if isinstance(message, str) else frames.binary(message)
        )

    def look(self) -> None:
        self.looks += 1

    def lost(self) -> None:
        assert not self.is_lost
        self.is_lost = True


class End:
    """The client's end, which says bytes and reads frames. `echo` is who speaks at the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.echo: Echo

    def say(self, *data: bytes) -> None:
        self.writer.write(b"".join(data))

    async def hear(self) -> tuple[int, bytes]:
        """A frame: its opcode and payload. (-1, b"") at the end of the connection."""
        async with asyncio.timeout(30):
            try:
                first, size = await self.reader.readexactly(2)
                if size >= 126:
                    size = int.from_bytes(await self.reader.readexactly(2 if size == 126 else 8), "big")
                return first & 0x0F, await self.reader.readexactly(size)
            except (asyncio.IncompleteReadError, ConnectionError):
                return -1, b""

    async def closed(self) -> int:
        """The code of the close frame, which is the next but for pings; the connection ends behind our answer."""
        while (frame := await self.hear())[0] == PING:
            pass
        assert frame[0] == CLOSE, frame
        self.say(said(CLOSE, frame[1]))
        assert await self.hear() == (-1, b"")
        return int.from_bytes(frame[1][:2], "big")


@pytest.fixture
async def everybody(monkeypatch):
    """All sockets of a port, with quick clocks."""
    monkeypatch.setattr(sockets, "SWEEP_S", 0.02)
    monkeypatch.setattr(socket, "UNREAD_S", 0.1)
    monkeypatch.setattr(socket, "PONG_S", 0.1)
    monkeypatch.setattr(socket, "QUIET_S", 0.05)
    monkeypatch.setattr(socket, "LINGER_S", 0.1)
    return Sockets(asyncio.get_running_loop(), BOUNDS)


@pytest.fixture
async def end(everybody):
    """A client that is connected."""
    echoes: list[Echo] = []

    def serve() -> WebSocket:
        made = WebSocket(everybody)
        made.session = Echo(made)
        echoes.append(made.session)
        return made

    server = await asyncio.get_running_loop().create_server(serve, "127.0.0.1", 0)
    near = plain.socket()
    near.setsockopt(plain.SOL_SOCKET, plain.SO_RCVBUF, 16 * 1024)
    near.setblocking(False)
    await asyncio.get_running_loop().sock_connect(near, server.sockets[0].getsockname())
    end = End(*await asyncio.open_connection(sock=near, limit=16 * 1024))
    await eventually(lambda: len(everybody) == 1)
    (end.echo,) = echoes
    yield end
    end.writer.transport.abort()
    await eventually(lambda: not len(everybody))
    assert end.echo.is_lost
    server.close()


async def test_texts_and_bytes_are_heard_and_said_and_a_ping_is_answered_between_them(end):
    end.say(said(TEXT, b"a", final=False), said(PING, b"here?"), said(0, b"b"), said(BINARY, b"\xff"))

    assert [await end.hear() for _ in range(3)] == [(PONG, b"here?"), (TEXT, b"ab"), (BINARY, b"\xff")]


async def test_a_close_is_answered_with_its_code_and_ends_the_connection(end):
    end.say(said(TEXT, b"a"), said(CLOSE, b"\x0b\xb8"), said(TEXT, b"behind"))

    assert await end.hear() == (TEXT, b"a")
    assert await end.hear() == (CLOSE, b"\x0b\xb8")
    assert await end.hear() == (-1, b"")
    assert end.echo.heard == ["a"]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (said(TEXT, b"\xff"), 1007),
        (said(3), 1002),
        (said(CLOSE, b"\x03"), 1002),
        (said(CLOSE, b"\x03\xed"), 1002),
        (said(TEXT, bytes(1_001)), 1009),
    ],
)
async def test_a_fault_closes_with_its_code_and_nothing_behind_it_is_heard(end, data, code):
    end.say(data, said(TEXT, b"behind"))

    assert await end.closed() == code
    assert end.echo.heard == []


async def test_a_client_that_does_not_answer_a_close_is_left(end):
    end.echo.socket.close(4401)

    assert (await end.hear())[0] == CLOSE
    assert await end.hear() == (-1, b"")


async def test_what_is_written_in_one_turn_leaves_in_one_write_and_before_a_close(end, monkeypatch):
    socket, writes = end.echo.socket, []
    put = socket._put
    monkeypatch.setattr(socket, "_put", lambda data: (writes.append(data), put(data)))

    words = [frames.text(b"answer"), frames.text(b"entry")]
    for word in words:
        socket.write(word)
    waits = (socket._waiting(), len(writes))
    await eventually(lambda: writes)
    socket.write(frames.text(b"last"))
    socket.close(4401)

    assert waits == (len(b"".join(words)), 0)
    assert writes == [b"".join(words), frames.text(b"last")]
    assert [(await end.hear())[1] for _ in range(3)] == [b"answer", b"entry", b"last"]
    assert await end.closed() == 4401


async def test_what_waits_for_the_end_of_a_turn_is_bounded(end):
    word = frames.binary(bytes(1_000))
    waited = set()
    for _ in range(100):
        end.echo.socket.write(word)
        waited.add(end.echo.socket._waiting())

    assert max(waited) <= 16 * 1024
    assert [len((await end.hear())[1]) for _ in range(100)] == [1_000] * 100


async def test_what_is_not_read_is_held_and_comes_whole_when_it_is(end):
    messages = [b"%06d" % n * 1_000 for n in range(400)]
    for message in messages:
        end.echo.socket.write(frames.binary(message))

    assert [(await end.hear())[1] for _ in messages[:40]] == messages[:40]


async def test_who_leaves_more_unread_than_is_held_is_closed_and_nobody_waits(end):
    await flood(end, forever=True)

    assert end.echo.is_lost


async def test_who_reads_nothing_is_closed_though_little_is_held(end):
    await flood(end, forever=False)

    await eventually(lambda: end.echo.is_lost, within_s=2)


async def flood(end, *, forever):
    """Speak until the client is known not to keep up; or until it has lost its session."""
    big = frames.binary(bytes(8_000))
    end.writer.transport.pause_reading()
    for _ in range(100_000):
        end.echo.socket.write(big)
        if end.echo.is_lost or (not forever and end.echo.socket._held):
            break
        await asyncio.sleep(0)


async def test_who_does_not_answer_a_ping_behind_what_it_was_told_is_gone_and_who_does_stays(end):
    end.echo.told_at = asyncio.get_running_loop().time() + 60
    for _ in range(3):
        assert await end.hear() == (PING, b"")
        end.say(said(PONG))
    assert not end.echo.is_lost

    assert await end.closed() == TOO_SLOW
    assert end.echo.looks


async def test_nobody_is_asked_who_was_told_nothing(end):
    await eventually(lambda: end.echo.looks >= 10)
    end.say(said(TEXT, b"a"))

    assert await end.hear() == (TEXT, b"a")


class Turns(list[int]):
    """How many were looked at in each turn of the loop."""

    def __init__(self) -> None:
        super().__init__()
        self._is_over = True

    def looked(self) -> None:
        if self._is_over:
            self._is_over = False
            self.append(0)
            asyncio.get_running_loop().call_soon(self._end)
        self[-1] += 1

    def _end(self) -> None:
        self._is_over = True


class Looked:
    """Stands for a socket; `looks` is how often it was looked at."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self.looks = 0

    def look(self, now: float) -> None:
        del now
        self.looks += 1
        self._turns.looked()


@pytest.mark.parametrize(("count", "most", "turns_of_all"), [(1_000, 50, 20), (20_000, 401, 50)])
async def test_few_of_many_are_looked_at_in_a_turn_of_the_loop(everybody, count, most, turns_of_all):
    """Who is pinged answers at once, and what others are told waits for both; on the other hand, each turn is a wake."""
    turns = Turns()
    many = [Looked(turns) for _ in range(count)]
    for each in many:
        everybody.opened(each)

    await eventually(lambda: all(each.looks for each in many))

    for each in many:
        everybody.closed(each)
    assert max(turns) <= most
    assert sum(turns[:turns_of_all]) == count


async def test_who_says_too_much_is_listened_to_later_and_loses_nothing(end):
    loop = asyncio.get_running_loop()
    began = loop.time()
    for n in range(4):
        end.say(said(TEXT, b"%d" % n) * 75)
        await eventually(lambda n=n: len(end.echo.heard) > 75 * n)
    heard = [(await end.hear())[1] for _ in range(300)]

    assert heard == [b"%d" % (n // 75) for n in range(300)]
    assert loop.time() - began >= (225 - BOUNDS.burst) / BOUNDS.rate


async def test_all_are_told_to_come_back_when_the_port_closes(everybody, end):
    port = set()
    everybody.belong_to(port)

    everybody.shutdown()

    assert await end.closed() == 1012
    await eventually(lambda: not port)
