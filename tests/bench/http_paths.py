"""The ways of a request: the hop alone, a read by id, a durable write with its event; beside servers that do none of it."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING

from polis.local.ports import free_port
from tests.bench.figures import Figure, Point, beside
from tests.bench.load import Ask, drive

if TYPE_CHECKING:
    from tests.bench.mesh import Mesh

ROUNDS = 5
POINT_S = 2
_WARM_S = 1
HELLO, HOP = "Starlette hello", "Starlette + nats-py"
_SAID = json.dumps({"room": "r1", "text": "hello from the bench"})
_RATES = {"PRINCIPAL_RATE": "1000000", "PRINCIPAL_BURST": "1000000000"}


class Paths:
    """What can be driven, by name, and what was measured of each."""

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self.asks: dict[str, Ask] = {}
        self.points: dict[str, list[Point]] = {}
        self.cpu_us: dict[str, dict[str, float]] = {}

    def start_hello(self) -> None:
        port = free_port()
        server = self.mesh.beside("-m", "tests.bench.peer_http", "hello", str(port), settings={})
        self.asks["hello"] = Ask(f"http://127.0.0.1:{port}/")
        self.mesh.until_answers(self.asks["hello"].url, server)

    def start_hop(self) -> None:
        """nats-py on both sides, on the broker of the mesh."""
        port, login = free_port(), self.mesh.nats_login("admin")
        self.mesh.beside("-m", "tests.bench.peer_http", "answer", settings=login)
        server = self.mesh.beside("-m", "tests.bench.peer_http", "hop", str(port), settings=login)
        self.asks["hop"] = Ask(f"http://127.0.0.1:{port}/", "POST", body=_SAID)
        self.mesh.until_answers(f"http://127.0.0.1:{port}/ready", server)

    def start_echo(self) -> None:
        """A service and a gateway that know one more operation than the mesh; all the rest is the mesh's."""
        port = free_port()
        settings = self.mesh.nats_login("admin") | {"POLIS_CREDENTIAL": self.mesh.home.credential("gateway")}
        self.mesh.beside("-m", "tests.bench.serve_echo", "echo", settings=settings)
        limits = {f"POLIS_{name}": value for name, value in _RATES.items()}
        gateway = self.mesh.beside(
            "-m", "tests.bench.serve_echo", "gateway", settings=settings | limits | {"POLIS_PORT": str(port)}
        )
        self.mesh.until_answers(f"http://127.0.0.1:{port}/health/ready", gateway)
        self.asks["echo"] = Ask(f"http://127.0.0.1:{port}/api/v1/echo", "POST", self.mesh.token, _SAID)

    def start_get(self) -> None:
        made = self.mesh.call("POST", "/resources", json.loads(_resource("read")))
        self.asks["get"] = Ask(f"{self.mesh.address}/api/v1/resources/{made['id']}", token=self.mesh.token)

    def start_post(self) -> None:
        self.asks["post"] = Ask(
            f"{self.mesh.address}/api/v1/resources", "POST", self.mesh.token, _resource("w#")
        )

    def start_run(self) -> None:
        """A graph of five pure nodes: the answer to the request that starts it is the run as it ended."""
        self.mesh.graph("five", _five())
        body = {"graph": "five", "input": {"x": 1}}
        run = self.mesh.call("POST", "/runs", body)
        if run["state"] != "succeeded":
            raise RuntimeError(f"a run of pure nodes is answered as {run['state']}")
        self.asks["run"] = Ask(f"{self.mesh.address}/api/v1/runs", "POST", self.mesh.token, json.dumps(body))

    def point(self, name: str, *, connections: int = 64) -> Point:
        before = self.mesh.cpu_s()
        point = drive(self.asks[name], seconds=POINT_S, connections=connections)
        after = self.mesh.cpu_s()
        done = point.rate * POINT_S
        self.cpu_us[name] = {part: (after[part] - before.get(part, 0.0)) / done * 1e6 for part in after}
        self.points.setdefault(name, []).append(point)
        return point


def _resource(key: str) -> str:
    return json.dumps({"type": "context", "key": key, "content": {"text": "hello from the bench"}})


def _five() -> object:
    return {
        "nodes": {f"n{i}": {"component": "passthrough"} for i in range(5)},
        "edges": [{"source": f"n{i}.out", "target": f"n{i + 1}.in"} for i in range(4)],
        "inputs": {"x": {"target": "n0.in"}},
        "outputs": {"y": {"source": "n4.out"}},
    }


def measure(mesh: Mesh, wanted: set[str]) -> list[Figure]:
    """Figures of B6, GET and POST, those that are wanted."""
    paths = Paths(mesh)
    order = _order(wanted)
    for name in dict.fromkeys(order):
        getattr(paths, f"start_{name}")()
        drive(paths.asks[name], seconds=_WARM_S)
    rounds: dict[tuple[str, str], tuple[list[Point], list[Point]]] = {}
    for _ in range(ROUNDS):
        taken = [(name, paths.point(name)) for name in order]
        for (before, peer), (name, ours) in pairwise(taken):
            if name not in ("hello", "hop"):
                mine, theirs = rounds.setdefault((name, before), ([], []))
                mine.append(ours)
                theirs.append(peer)
            elif before == "echo":
                mine, theirs = rounds.setdefault((before, name), ([], []))
                mine.append(peer)
                theirs.append(ours)
    figures = [_figure(ours, peer, *points, paths) for (ours, peer), points in rounds.items()]
    return figures + [_alone(paths, name) for name in dict.fromkeys(order) if name != "hop"]


def _order(wanted: set[str]) -> list[str]:
    """One round: what is compared stands side by side."""
    order = []
    if "B6" in wanted:
        order += ["hop", "echo", "hello", "get"]
    elif "GET" in wanted:
        order += ["hello", "get"]
    if "POST" in wanted:
        order += ["hello", "post"]
    if "B4" in wanted:
        order += ["hello", "run"]
    return order


_NAMES = {
    ("echo", "hop"): ("B6", "the hop without a database", HOP, 3.0),
    ("echo", "hello"): ("B6", "the hop without a database, beside no hop", HELLO, 1.0),
    ("get", "hello"): ("GET", "GET by id through PostgreSQL", HELLO, 0.6),
    ("post", "hello"): ("POST", "durable POST with its event", HELLO, 0.1),
    ("run", "hello"): ("B4", "a durable run of 5 nodes, started and ended over HTTP", HELLO, None),
}


def _figure(name: str, peer: str, ours: list[Point], peers: list[Point], paths: Paths) -> Figure:
    """The echo's gateway and service are processes beside the mesh, whose CPU is not counted."""
    id_, title, peer_name, bar = _NAMES[name, peer]
    return beside(
        id_, title, ours, peer_name, peers, bar=bar, note="" if name == "echo" else _cpu(paths.cpu_us[name])
    )


def _cpu(parts: dict[str, float]) -> str:
    used = ", ".join(f"{part} {us:.0f}" for part, us in parts.items() if us >= 1)
    return f"CPU us: {used}" if used else ""


def _alone(paths: Paths, name: str) -> Figure:
    """One caller: what a single request waits for."""
    point = drive(paths.asks[name], seconds=POINT_S, connections=1)
    id_ = {"echo": "B6", "get": "GET", "post": "POST", "run": "B4", "hello": "HELLO"}[name]
    return Figure(
        id_, f"{name}, one caller", point.rate, "requests/s", p50_ms=point.p50_ms, p99_ms=point.p99_ms
    )
