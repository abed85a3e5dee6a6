"""A thousand who listen at one server, and who says what they hear. Asked by lines of JSON, as tests.bench.child has it."""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from typing import Any

import msgspec

from tests.bench.child import own_output
from tests.bench.dial import dial, masked, until
from tests.bench.listeners import listeners

SIZE = 161
"""Characters of a message. What Socket.IO's publisher says is 200 bytes of JSON with it, as in the peers' own scripts."""
_UNREAD = 64 * 1024
"""Of one listener. Left alone, the kernel of a listener acknowledges each second frame of 600 bytes and more as it arrives,
which over loopback is in the middle of the server's `send`; like this it does where the listener reads."""
_STALL_S, _TURN_S = 10.0, 0.02


class Polis:
    """Followers of a conversation; what is said there comes as messaging would tell it."""

    def __init__(self, given: dict[str, Any]) -> None:
        self._given = given
        self._seq = int(given["seq"])
        self.publisher = _nats(given["nats"])

    def listener(self) -> socket.socket:
        plain = dial(self._given["port"], "/api/v1/live", self._given["token"], unread=_UNREAD)
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
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as every socket of both sides
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
        plain = dial(self._port, f"/socket.io/?EIO=4&transport=websocket&role={role}", unread=_UNREAD)
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
        self.listeners = listeners()
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

    def flood(self, window: int, seconds: float) -> tuple[int, float, float]:
        """Deliveries, seconds, and this process's CPU, with so many messages in flight: the next is said when the average
        listener has heard one."""
        members = len(self.listeners)
        began = heard_at = time.perf_counter()
        worked = time.process_time()
        said = heard = 0
        while (now := time.perf_counter()) < began + seconds or heard < said * members:
            while now < began + seconds and said - heard // members < window:
                self._room.say(_text())
                said += 1
            came = self.listeners.hear((said - window + 1) * members - heard, _TURN_S)
            heard += came
            heard_at = now if came else heard_at
            if now - heard_at > _STALL_S:
                raise RuntimeError(f"{said * members - heard} messages were not heard")
        return heard, time.perf_counter() - began, time.process_time() - worked

    def pace(self, rate: float, seconds: float) -> tuple[float, float, int]:
        """p50 and p99 in ms of messages at an even pace, and how many deliveries there were."""
        listeners = self.listeners
        late = listeners.late_us = []
        members, due, said, heard = len(listeners), time.perf_counter(), 0, 0
        stop = due + seconds
        while (now := time.perf_counter()) < stop or (heard < said * members and now < stop + _STALL_S):
            if now < stop and due <= now:
                self._room.say(_text())
                said += 1
                due += 1 / rate
            heard += listeners.hear(said * members - heard, max(0.0, due - now) if now < stop else _TURN_S)
        listeners.late_us = None
        late.sort()
        return late[len(late) // 2] / 1e3, late[len(late) * 99 // 100] / 1e3, heard

    def rest(self, seconds: float) -> int:
        """Answer pings and nothing else."""
        stop = time.perf_counter() + seconds
        while time.perf_counter() < stop:
            self.listeners.hear(1, 0.1)
        return len(self.listeners)

    def close(self) -> int:
        self.listeners.close()
        self.listeners = listeners()
        return 0


def _text() -> str:
    return f"\x7f{time.monotonic_ns():016d} ".ljust(SIZE, "x")


def main() -> None:
    output, bench = own_output(), Bench()
    while True:
        while sys.stdin not in select.select((sys.stdin, bench.listeners), (), ())[0]:
            bench.listeners.hear()  # pings are answered meanwhile
        line = sys.stdin.readline()
        if not line:
            return
        question = json.loads(line)
        answer = getattr(bench, question.pop("do"))(**question)
        output.write(json.dumps(answer) + "\n")
        output.flush()


if __name__ == "__main__":
    main()
