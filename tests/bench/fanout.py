"""What the live edge tells many at once, beside Socket.IO: a thousand who follow one conversation, and many who only are there.

What is said is put on the conversation's live subject as messaging puts it there when it has committed: how long that
takes is B7's business. Ours are authenticated, authorised and gap-free; the peer's are neither. CPU is the gateway's own.
The whole mesh and the peer share one core; those who listen have the other.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import psutil

from polis.local.ports import free_port
from polis.proto.messaging import LIVE_CONVERSATION
from tests.bench.child import Child
from tests.bench.cores import apart
from tests.bench.figures import Figure
from tests.bench.mesh import ROOT
from tests.bench.native import written_in
from tests.bench.peer_npm import modules_with

if TYPE_CHECKING:
    from tests.bench.mesh import Mesh

LISTENERS = 1_000
ROUNDS = 3
POINT_S = 2.0
PACE, PACED_S = 20.0, 10.0
"""Messages a second to each of a thousand, 20,000 deliveries, and for how long: of a hundred messages or fewer p99 lies
within the slowest one."""
IDLE, MANY = 5_000, 19_700
"""A process may have 20,000 files where this was measured: so many are as many as one gateway takes there."""
_AT_ONCE, _REST_S = 2_500, 5
_SETTLED_S = 2.0
_PEER = "socket.io@4.8.1"


class Load(NamedTuple):
    """What one round came to: deliveries a second, and microseconds of the server's CPU for each, and of the listeners'."""

    rate: float
    us: float
    load_us: float

    @property
    def load_share(self) -> float:
        """Of a core. Where it is near to one, the rate is the listeners' and not the server's."""
        return self.rate * self.load_us / 1e6


class Side:
    """One server, and a process of listeners at it."""

    def __init__(self, mesh: Mesh, kind: str, given: dict[str, Any], pid: int) -> None:
        self._child = _clients(mesh)
        self.load = self._child.pid
        self.server = pid
        self._server = psutil.Process(pid)
        self.given = given
        self._child.ask(do="open", kind=kind, given=given, listeners=LISTENERS)
        self.floods: dict[int, list[Load]] = {}
        self.paces: list[tuple[float, float]] = []

    def ask(self, **question: object) -> Any:
        return self._child.ask(**question)

    def cpu_s(self) -> float:
        times = self._server.cpu_times()
        return float(times.user + times.system)

    def memory(self) -> int:
        return int(self._server.memory_full_info().uss)

    def flood(self, window: int) -> None:
        before = self.cpu_s()
        heard, seconds, worked_s = self.ask(do="flood", window=window, seconds=POINT_S)
        us = (self.cpu_s() - before) / heard * 1e6
        self.floods.setdefault(window, []).append(Load(heard / seconds, us, worked_s / heard * 1e6))

    def pace(self) -> None:
        p50, p99, _ = self.ask(do="pace", rate=PACE, seconds=PACED_S)
        self.paces.append((p50, p99))


def measure(mesh: Mesh, wanted: set[str]) -> list[Figure]:
    """Figures of B5."""
    del wanted
    ours = Side(mesh, "polis", _conversation(mesh), mesh.state.children["gateway"].pid)
    peer = _peer(mesh)
    with apart((mesh.state.supervisor.pid, peer.server), (ours.load, peer.load)):
        for window in (1, 16):
            for _ in range(ROUNDS):
                ours.flood(window)
                peer.flood(window)
        for _ in range(ROUNDS):
            ours.pace()
            peer.pace()
    found = [_flooded(ours, peer, 1, 1.9), _flooded(ours, peer, 16, 12.0), _paced(ours, peer)]
    ours.ask(do="close")
    peer.ask(do="close")
    return found + _idle(mesh, ours)


def _conversation(mesh: Mesh) -> dict[str, Any]:
    """A conversation, and what somebody says in it."""
    made = mesh.call("POST", "/conversations", {"kind": "group"})
    said = mesh.call("POST", f"/conversations/{made['id']}/messages", {"text": "first"})
    snapshot = mesh.call("GET", f"/conversations/{made['id']}/snapshot?after={said['seq'] - 1}")
    login = mesh.nats_login("messaging")
    return {
        "port": mesh.port,
        "token": mesh.token,
        "topic": f"conversation/{made['id']}",
        "subject": LIVE_CONVERSATION.subject(UUID(made["org_id"]), UUID(made["id"])),
        "entry": snapshot["entries"][-1],
        "seq": said["seq"],
        "nats": {
            "port": mesh.state.nats_port,
            "user": login["POLIS_NATS_USER"],
            "password": login["POLIS_NATS_PASSWORD"],
        },
    }


def _peer(mesh: Mesh) -> Side:
    port = free_port()
    script = str(ROOT / "tests" / "bench" / "socketio_peer.js")
    settings = {"NODE_PATH": str(modules_with(_PEER))}
    server = mesh.beside(script, str(port), settings=settings, python="node")
    mesh.until_answers(f"http://127.0.0.1:{port}/", server)
    return Side(mesh, "socketio", {"port": port}, server.pid)


def _flooded(ours: Side, peer: Side, window: int, bar: float) -> Figure:
    mine, theirs = ours.floods[window], peer.floods[window]
    us, peer_us = (statistics.median(load.us for load in loads) for loads in (mine, theirs))
    share, peer_share = (statistics.median(load.load_share for load in loads) for loads in (mine, theirs))
    return Figure(
        "B5",
        f"one message to {LISTENERS:,}, {window} in flight",
        statistics.median(load.rate for load in mine),
        "deliveries/s",
        "Socket.IO",
        statistics.median(load.rate for load in theirs),
        statistics.median(m.rate / t.rate for m, t in zip(mine, theirs, strict=True)),
        bar,
        note=f"CPU us a delivery {us:.2f} beside {peer_us:.2f}: {peer_us / us:.1f} times; "
        f"listeners in {written_in()} take {share:.2f} and {peer_share:.2f} of their core",
    )


def _paced(ours: Side, peer: Side) -> Figure:
    p99, peer_p99 = (statistics.median(p99 for _, p99 in side.paces) for side in (ours, peer))
    return Figure(
        "B5",
        f"p99 at {PACE * LISTENERS:,.0f} deliveries/s",
        p99,
        "ms",
        "Socket.IO",
        peer_p99,
        statistics.median(m[1] / t[1] for m, t in zip(ours.paces, peer.paces, strict=True)),
        0.45,
        at_most=True,
    )


def _idle(mesh: Mesh, ours: Side) -> list[Figure]:
    """Connections that follow nothing: their memory, and what it costs that they are there."""
    given = ours.given
    ours.ask(do="rest", seconds=_SETTLED_S)
    empty = ours.memory()
    ours.ask(do="idle", port=given["port"], token=given["token"], connections=IDLE)
    ours.ask(do="rest", seconds=_SETTLED_S)
    each = (ours.memory() - empty) / IDLE
    figure = Figure(
        "B5",
        f"memory of each of {IDLE:,} that are signed in and idle",
        each / 1024,
        "KB",
        bar=4,
        at_most=True,
    )
    return [figure, _many(mesh, ours, empty)]


def _many(mesh: Mesh, ours: Side, empty: int) -> Figure:
    """With a second process of clients, for none has more files than the gateway."""
    clients = (ours, _clients(mesh))
    there = [IDLE, 0]
    given = {"port": ours.given["port"], "token": ours.given["token"]}
    while (missing := MANY - sum(there)) > 0:
        fewer = there.index(min(there))
        there[fewer] = clients[fewer].ask(do="idle", **given, connections=min(_AT_ONCE, missing))
    before = ours.cpu_s()
    for client in clients:
        client.ask(do="rest", seconds=_REST_S)
    cpu = (ours.cpu_s() - before) / (_REST_S * len(clients))
    each = (ours.memory() - empty) / MANY / 1024
    return Figure("B5", f"the same, {MANY:,} of them", each, "KB", note=f"at rest {cpu:.3f} of a core")


def _clients(mesh: Mesh) -> Child:
    process = mesh.beside("-m", "tests.bench.fanout_child", settings={}, pipes=True)
    return Child(process, mesh.last_words)
