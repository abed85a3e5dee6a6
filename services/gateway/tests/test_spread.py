"""Many sockets that are told the same in one call: each hears everything once and in order, however slowly it reads."""

from __future__ import annotations

import asyncio
import socket as plain
from array import array
from types import SimpleNamespace

import pytest

from polis.gateway.audience import Crowd, Follower, Turn
from polis.gateway.websocket import frames, spread
from polis.gateway.websocket.socket import WebSocket
from polis.gateway.websocket.sockets import Bounds, Sockets
from polis.testing import eventually

MANY, SIZE, ROUNDS = 24, 20_000, 12
NATIVE = spread.native()
needs_native = pytest.mark.skipif(NATIVE is None, reason="no compiler")


@needs_native
def test_who_has_not_taken_all_is_told_with_how_much_they_took():
    assert NATIVE is not None
    pairs = [plain.socketpair() for _ in range(4)]
    (quick, _), (full, far), (gone, _), (_, silent) = pairs
    full.setblocking(False)
    full.setsockopt(plain.SOL_SOCKET, plain.SO_SNDBUF, 1)
    data = bytes(range(256)) * 512
    pairs[2][1].close()

    numbers = array("i", [quick.fileno(), full.fileno(), gone.fileno(), spread.LEFT_OUT])
    quick.setsockopt(plain.SOL_SOCKET, plain.SO_SNDBUF, 1 << 20)
    late = dict(NATIVE(numbers, data))

    assert late.keys() == {1, 2, 3}
    assert 0 < late[1] < len(data)
    assert (late[2], late[3]) == (0, 0)
    assert far.recv(1 << 18) == data[: late[1]]
    silent.setblocking(False)
    with pytest.raises(BlockingIOError):
        silent.recv(1)
    for each in (side for pair in pairs for side in pair):
        each.close()


class Quiet:
    """Who says nothing on a socket; `follower` leaves with it."""

    told_at = 0.0

    def __init__(self, crowd: Crowd, socket: WebSocket) -> None:
        self.follower = Follower(SimpleNamespace(), socket, "notes", SimpleNamespace())  # type: ignore[arg-type]
        self._crowd = crowd
        crowd.add(self.follower)

    def receive(self, message):
        raise AssertionError(message)

    def look(self):
        pass

    def lost(self):
        self._crowd.remove(self.follower)


class Served:
    """A crowd of sockets, and their clients' ends: the first reads nothing by itself."""

    def __init__(self) -> None:
        self.turn = Turn(asyncio.get_running_loop())
        self.crowd = Crowd(self.turn)
        self.everybody = Sockets(asyncio.get_running_loop(), Bounds(held_bytes=1 << 20))
        self.sockets: list[WebSocket] = []
        self.ends: list[plain.socket] = []
        self.heard: list[bytearray] = []

    def serve(self) -> WebSocket:
        socket = WebSocket(self.everybody)
        self.sockets.append(socket)
        return socket

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self.serve, "127.0.0.1", 0)
        for n in range(MANY):
            near = plain.socket()
            near.setsockopt(plain.SOL_SOCKET, plain.SO_RCVBUF, 4096 if n == 0 else 1 << 20)
            near.setblocking(False)
            await loop.sock_connect(near, server.sockets[0].getsockname())
            await eventually(lambda n=n: len(self.sockets) > n)
            self.ends.append(near)
            self.heard.append(bytearray())
        for socket in self.sockets:
            socket.session = Quiet(self.crowd, socket)
        server.close()

    def read(self, n: int) -> bytes:
        """All that this client has been sent by now."""
        try:
            while data := self.ends[n].recv(1 << 20):
                self.heard[n] += data
        except BlockingIOError:
            pass
        return bytes(self.heard[n])

    async def tell(self, *words: bytes) -> None:
        for word in words:
            self.crowd.tell(frames.text(word.ljust(SIZE, b".")))
        await asyncio.sleep(0)
        await asyncio.sleep(0)


@pytest.fixture(
    params=[pytest.param(True, marks=needs_native, id="in one call"), pytest.param(False, id="one by one")]
)
async def served(request):
    served = Served()
    if not request.param:
        served.turn.spread = None
    await served.open()
    yield served
    for end in served.ends:
        end.close()
    await eventually(lambda: not len(served.crowd))


async def test_each_hears_all_in_order_who_reads_late_too_and_who_is_gone_stops_nobody(served):
    told = b""
    for round_ in range(ROUNDS):
        if round_ == 4:
            served.ends[1].close()
        if round_ % 3 == 0:
            alone = frames.text(b"alone %d" % round_)
            for socket in served.sockets:
                socket.write(alone)  # is on its way when the crowd is told
            told += alone
        words = [b"%d.%d" % (round_, n) for n in range(round_ % 2 + 1)]
        await served.tell(*words)
        told += b"".join(frames.text(word.ljust(SIZE, b".")) for word in words)
        for n in range(2, MANY):
            served.read(n)

    await eventually(lambda: all(served.read(n) == told for n in range(2, MANY)))
    assert len(served.read(0)) < len(told)
    await eventually(lambda: served.read(0) == told)


async def test_nothing_overtakes_what_a_transport_holds(served):
    await served.tell(b"first")
    socket, line, told = served.sockets[2], served.sockets[2].line(), frames.text(b"first".ljust(SIZE, b"."))
    while not line.waiting():
        told += (alone := frames.text(b"alone".ljust(SIZE, b".")))
        socket.write(alone)
    served.read(2)  # now there is room in the kernel, and the loop has had no turn

    served.crowd.tell(behind := frames.text(b"behind"))
    served.crowd.flush()

    await eventually(lambda: served.read(2) == told + behind)
