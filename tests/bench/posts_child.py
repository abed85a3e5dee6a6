"""The senders of B7, each on a socket of its own: so many posts in flight, every one under a client id of its own.

Whoever is the first to send in a conversation follows it too: what is told there must be what was posted, in order and once.
"""

from __future__ import annotations

import asyncio
import json
import time
from itertools import count

import msgspec
import uvloop

from tests.bench import senders
from tests.bench.child import own_output, serve
from tests.bench.native import library
from tests.bench.posts import SENDERS
from tests.bench.senders import Found
from tests.bench.socket_client import SocketClient

_TEXT = "Is anybody at the gate? The flight to Oslo is called, and we are two short."
_numbers = count(time.time_ns())


class _Message(msgspec.Struct):
    client_id: str | None = None


class _Entry(msgspec.Struct):
    seq: int
    message: _Message | None = None


class _Change(msgspec.Struct):
    seq: int
    entry: _Entry | None = None


class _Frame(msgspec.Struct):
    op: str
    seq: int = 0
    id: int | None = None
    data: msgspec.Raw = msgspec.Raw()


_frame = msgspec.json.Decoder(_Frame)
_changes = msgspec.json.Decoder(list[_Change])


class Sender:
    """One that posts on its socket, and waits for no more answers than it may."""

    def __init__(self, conversation_id: str, *, follows: bool) -> None:
        self.conversation_id = conversation_id
        self.follows = follows
        self.waits: list[float] = []
        self.posted: set[str] = set()
        self.told: list[str] = []
        self.faults: list[str] = []
        self._began: dict[int, float] = {}
        self._ids = count(1)
        self._last: int | None = None
        self._until = 0.0
        self._socket: SocketClient
        self.following = asyncio.Event()
        self.done = asyncio.Event()

    async def open(self, port: int, token: str) -> None:
        self._socket = await SocketClient.open(port, token, self._hear)
        if self.follows:
            topic = f"conversation/{self.conversation_id}"
            self._socket.say(json.dumps({"op": "subscribe", "topic": topic}).encode())
            await asyncio.wait_for(self.following.wait(), 10)

    def begin(self, flights: int, until: float) -> None:
        self._until = until
        for _ in range(flights):
            self._post()

    def close(self) -> None:
        self._socket.close()

    def _post(self) -> None:
        call_id, client_id = next(self._ids), str(next(_numbers))
        self.posted.add(client_id)
        self._began[call_id] = time.perf_counter()
        self._socket.say(
            b'{"op":"call","id":%d,"name":"PostMessage","request":{"conversation_id":"%b","text":"%b","client_id":"%b"}}'
            % (call_id, self.conversation_id.encode(), _TEXT.encode(), client_id.encode())
        )

    def _hear(self, text: bytes) -> None:
        frame = _frame.decode(text)
        if frame.op == "ack" and frame.id is not None:
            self._acked(frame.id)
        elif frame.op == "events":
            for change in _changes.decode(frame.data):
                self._tell(change)
        elif frame.op == "snapshot":
            self._last = frame.seq
            self.following.set()
        else:
            self.faults.append(text.decode()[:300])
            self.done.set()

    def _acked(self, call_id: int) -> None:
        now = time.perf_counter()
        self.waits.append(now - self._began.pop(call_id))
        if now < self._until:
            self._post()
        elif not self._began:
            self.done.set()

    def _tell(self, change: _Change) -> None:
        entry = change.entry
        if entry is None or self._last is None:
            return
        if entry.seq != self._last + 1:
            self.faults.append(f"{entry.seq} was told behind {self._last}")
        self._last = entry.seq
        if entry.message is not None and entry.message.client_id is not None:
            self.told.append(entry.message.client_id)


async def measure(port: int, token: str, ids: list[str], flights: int, seconds: float) -> object:
    """flights: 0 is one sender with one in flight. Rate, p50, p99 in ms, how many, CPU of the senders, and what was wrong."""
    places = [(ids[n % len(ids)], n < len(ids)) for n in range(SENDERS if flights else 1)]
    native = library("senders")
    if native is None:
        found = await _by_python(port, token, places, flights or 1, seconds)
    else:
        found = senders.measure(native, port, token, places, flights or 1, seconds)
    waits = sorted(found.waits_ms)
    rate = len(waits) / found.seconds
    return rate, _share(waits, 0.5), _share(waits, 0.99), len(waits), found.worked_s, found.faults[:3]


async def _by_python(
    port: int, token: str, places: list[tuple[str, bool]], flights: int, seconds: float
) -> Found:
    """As senders.measure."""
    each = [Sender(conversation, follows=follows) for conversation, follows in places]
    await asyncio.gather(*(sender.open(port, token) for sender in each))
    began, worked = time.perf_counter(), time.process_time()
    for sender in each:
        sender.begin(flights, began + seconds)
    async with asyncio.timeout(seconds + 30):
        for sender in each:
            await sender.done.wait()
    took, worked_s = time.perf_counter() - began, time.process_time() - worked
    faults = await _delivered(each)
    for sender in each:
        sender.close()
    return Found(took, [wait * 1000 for sender in each for wait in sender.waits], worked_s, faults)


async def _delivered(those: list[Sender]) -> list[str]:
    """Whether all that was posted was told, once."""
    posted = set().union(*(sender.posted for sender in those))
    for _ in range(1_000):
        if sum(len(sender.told) for sender in those) >= len(posted):
            break
        await asyncio.sleep(0.01)
    faults = [fault for sender in those for fault in sender.faults]
    told = [client_id for sender in those for client_id in sender.told]
    if len(told) != len(set(told)) or set(told) != posted:
        faults.append(f"{len(posted)} were posted, {len(told)} told, {len(set(told) & posted)} of them alike")
    return faults


def _share(waits: list[float], share: float) -> float:
    return waits[int((len(waits) - 1) * share)] if waits else 0.0


async def main() -> None:
    await serve(measure, own_output())


if __name__ == "__main__":
    uvloop.run(main())
