"""Many who listen on WebSockets, in one thread: what they hear is counted, not read, so that it is the server that is measured.

Each message holds one byte that stands nowhere else, and behind it when it was said. Asked by lines of JSON, as tests.bench.child has it.
"""

from __future__ import annotations

import json
import re
import select
import socket
import sys
import time
from typing import Any

import msgspec

from tests.bench.child import own_output

MARK = b"\x7f"
SIZE = 100
"""Characters of a message."""
_SAID_AT = re.compile(rb"\x7f([0-9]{16,})")
_PONGS = {
    b"\x89\x00": b"\x8a\x80\0\0\0\0",
    b"\x81\x012": b"\x81\x81\0\0\0\0" + b"3",
    b"PING\r\n": b"PONG\r\n",
}
"""Of WebSocket, Engine.IO, NATS."""
_LOOK_EVERY = 50
_HANDSHAKE_S, _STALL_S = 20.0, 10.0


def masked(text: bytes) -> bytes:
    """A text frame with a mask that changes nothing."""
    size = len(text)
    head = bytes((0x81, 0x80 | size)) if size < 126 else b"\x81\xfe" + size.to_bytes(2, "big")
    return head + b"\0\0\0\0" + text


class Listeners:
    """So many connections that are told the same."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._members = 0
        self.late_ns: list[int] | None = None

    def __len__(self) -> int:
        return self._members

    def fileno(self) -> int:
        """Ready when any of them is."""
        return self._epoll.fileno()

    def keep(self, plain: socket.socket) -> None:
        """Answer its pings, too."""
        self._sockets[plain.fileno()] = plain
        self._epoll.register(plain.fileno(), select.EPOLLIN)

    def add(self, plain: socket.socket) -> None:
        plain.setblocking(False)
        self.keep(plain)
        self._members += 1
        if self._members % _LOOK_EVERY == 0:
            self.hear(0)  # the first are asked whether they are there before the last has come

    def hear(self, wait_s: float) -> int:
        """Messages that have come by now."""
        count = 0
        for number, _ in self._epoll.poll(wait_s, 4096):
            count += self._take(self._sockets[number])
        return count

    def _take(self, plain: socket.socket) -> int:
        data = plain.recv(1 << 18)
        if not data:
            raise RuntimeError(f"the server closed a connection of {len(self)}")
        if self.late_ns is not None:
            now = time.monotonic_ns()
            self.late_ns += [now - int(at) for at in _SAID_AT.findall(data)]
        for ping, pong in _PONGS.items():
            if ping in data:
                plain.sendall(pong)
        return data.count(MARK)

    def close(self) -> None:
        for plain in self._sockets.values():
            plain.close()
        self._sockets.clear()
        self._members = 0
        self._epoll.close()


def dial(port: int, path: str, token: str = "") -> socket.socket:
    """A WebSocket that is open."""
    plain = socket.create_connection(("127.0.0.1", port), timeout=_HANDSHAKE_S)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        *([f"Authorization: Bearer {token}"] if token else []),
    ]
    plain.sendall("\r\n".join([*lines, "", ""]).encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += plain.recv(1)
    if b" 101 " not in head[:20]:
        raise RuntimeError(head.decode("latin-1"))
    return plain


def until(plain: socket.socket, word: bytes) -> None:
    """Read until this was said."""
    heard = b""
    while word not in heard:
        data = plain.recv(1 << 16)
        if not data:
            raise RuntimeError(f"closed before {word!r} was said: {heard[-300:]!r}")
        heard += data


class Polis:
    """Followers of a conversation; what is said there comes as messaging would tell it."""

    def __init__(self, given: dict[str, Any]) -> None:
        self._given = given
        self._seq = int(given["seq"])
        self.publisher = _nats(given["nats"])

    def listener(self) -> socket.socket:
        plain = dial(self._given["port"], "/api/v1/live", self._given["token"])
        plain.sendall(masked(json.dumps({"op": "subscribe", "topic": self._given["topic"]}).encode()))
        until(plain, b'"op":"snapshot"')
        return plain

    def say(self, text: str) -> None:
        self._seq += 1
        entry = self._given["entry"] | {"seq": self._seq}
        entry["message"] = entry["message"] | {"seq": self._seq, "text": text}
        payload = msgspec.json.encode({"entries": [entry]})
        self.publisher.sendall(
            b"PUB %b %d\r\n%b\r\n" % (self._given["subject"].encode(), len(payload), payload)
        )


def _nats(given: dict[str, Any]) -> socket.socket:
    plain = socket.create_connection(("127.0.0.1", given["port"]))
    login = {"verbose": False, "pedantic": False, "user": given["user"], "pass": given["password"]}
    plain.sendall(b"CONNECT " + json.dumps(login).encode() + b"\r\nPING\r\n")
    until(plain, b"PONG")
    return plain


class SocketIo:
    """Members of a room."""

    def __init__(self, given: dict[str, Any]) -> None:
        self._port = given["port"]
        self.publisher = self._open("publisher")

    def _open(self, role: str) -> socket.socket:
        plain = dial(self._port, f"/socket.io/?EIO=4&transport=websocket&role={role}")
        until(plain, b'0{"sid"')
        plain.sendall(masked(b"40"))
        until(plain, b"40{")
        return plain

    def listener(self) -> socket.socket:
        return self._open("member")

    def say(self, text: str) -> None:
        said = {"room": "r1", "from": "u-0001", "text": text}
        self.publisher.sendall(masked(b'42["say",' + msgspec.json.encode(said) + b"]"))


KINDS = {"polis": Polis, "socketio": SocketIo}


class Bench:
    """The connections of this process; one kind at a time."""

    def __init__(self) -> None:
        self.listeners = Listeners()
        self._room: Polis | SocketIo

    def open(self, kind: str, given: dict[str, Any], listeners: int) -> int:
        self._room = KINDS[kind](given)
        self.listeners.keep(self._room.publisher)
        for _ in range(listeners):
            self.listeners.add(self._room.listener())
        return len(self.listeners)

    def idle(self, port: int, token: str, connections: int) -> int:
        """Connections that follow nothing, beside those that are there."""
        for _ in range(connections):
            self.listeners.add(dial(port, "/api/v1/live", token))
        return len(self.listeners)

    def flood(self, window: int, seconds: float) -> tuple[int, float]:
        """Deliveries, and seconds, with so many messages in flight."""
        members = len(self.listeners)
        began = heard_at = time.perf_counter()
        said = heard = 0
        while (now := time.perf_counter()) < began + seconds or heard < said * members:
            while now < began + seconds and said - heard // members < window:
                self._room.say(_text())
                said += 1
            came = self.listeners.hear(0.02)
            heard += came
            heard_at = now if came else heard_at
            if now - heard_at > _STALL_S:
                raise RuntimeError(f"{said * members - heard} messages were not heard")
        return heard, time.perf_counter() - began

    def pace(self, rate: float, seconds: float) -> tuple[float, float, int]:
        """p50 and p99 in ms of messages at an even pace, and how many deliveries there were."""
        listeners = self.listeners
        listeners.late_ns = []
        members, due, said, heard = len(listeners), time.perf_counter(), 0, 0
        stop = due + seconds
        while (now := time.perf_counter()) < stop or (heard < said * members and now < stop + _STALL_S):
            if now < stop and due <= now:
                self._room.say(_text())
                said += 1
                due += 1 / rate
            heard += listeners.hear(max(0.0, min(due - now, 0.02)) if now < stop else 0.02)
        late, listeners.late_ns = sorted(listeners.late_ns), None
        return late[len(late) // 2] / 1e6, late[len(late) * 99 // 100] / 1e6, heard

    def rest(self, seconds: float) -> int:
        """Answer pings and nothing else."""
        stop = time.perf_counter() + seconds
        while time.perf_counter() < stop:
            self.listeners.hear(0.1)
        return len(self.listeners)

    def close(self) -> int:
        self.listeners.close()
        self.listeners = Listeners()
        return 0


def _text() -> str:
    return f"\x7f{time.monotonic_ns():016d} ".ljust(SIZE, "x")


def main() -> None:
    output, bench = own_output(), Bench()
    while True:
        while sys.stdin not in select.select((sys.stdin, bench.listeners), (), ())[0]:
            bench.listeners.hear(0)  # pings are answered meanwhile
        line = sys.stdin.readline()
        if not line:
            return
        question = json.loads(line)
        answer = getattr(bench, question.pop("do"))(**question)
        output.write(json.dumps(answer) + "\n")
        output.flush()


if __name__ == "__main__":
    main()
