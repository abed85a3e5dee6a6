"""Messages posted over the bus, committed and told live: many senders in many conversations, and in one. On request alone.

The sockets that lead there are the edge's to measure; these are figures without a peer.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from tests.bench.child import Child
from tests.bench.figures import Figure, Point

if TYPE_CHECKING:
    from tests.bench.mesh import Mesh

ROUNDS = 3
SENDERS = 50
POINT_S = 2.0


def measure(mesh: Mesh, wanted: set[str]) -> list[Figure]:
    """Figures of B7 as far as the service goes."""
    del wanted
    ids = [mesh.call("POST", "/conversations", {"kind": "group"})["id"] for _ in range(SENDERS)]
    child = Child(
        mesh.beside("-m", "tests.bench.posts_child", settings=mesh.nats_login("gateway"), pipes=True),
        mesh.last_words,
    )
    ways = {
        f"{SENDERS} senders in {SENDERS} conversations, eight in flight each": (ids, 8),
        f"{SENDERS} senders in {SENDERS} conversations, one in flight each": (ids, 1),
        f"{SENDERS} senders in one conversation, eight in flight each": (ids[:1], 8),
        "one at a time": (ids[:1], 0),
    }
    points: dict[str, list[Point]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, (where, flights) in ways.items():
            answer = child.ask(token=mesh.token, ids=where, flights=flights, seconds=POINT_S)
            points[name].append(Point(*answer))
    return [_figure(name, found) for name, found in points.items()]


def _figure(name: str, points: list[Point]) -> Figure:
    return Figure(
        "B7",
        f"posts over the bus, {name}",
        statistics.median(point.rate for point in points),
        "messages/s",
        p50_ms=statistics.median(point.p50_ms or 0.0 for point in points),
        p99_ms=statistics.median(point.p99_ms or 0.0 for point in points),
        note="without the sockets",
    )
