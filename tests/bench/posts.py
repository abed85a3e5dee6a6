"""Messages posted over sockets, committed and told live: many senders in many conversations, and in one. On request alone.

These are figures without a peer; what each part of the mesh spends on a message stands beside them.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from tests.bench.child import Child
from tests.bench.figures import Figure
from tests.bench.native import written_in

if TYPE_CHECKING:
    from tests.bench.mesh import Mesh

ROUNDS = 3
SENDERS = 50
POINT_S = 2.0
_PARTS = ("gateway", "messaging", "nats", "postgresql")


def measure(mesh: Mesh, wanted: set[str]) -> list[Figure]:
    """Figures of B7."""
    del wanted
    ids = [mesh.call("POST", "/conversations", {"kind": "group"})["id"] for _ in range(SENDERS)]
    child = Child(mesh.beside("-m", "tests.bench.posts_child", settings={}, pipes=True), mesh.last_words)
    ways = {
        f"{SENDERS} senders in {SENDERS} conversations, eight in flight each": (ids, 8),
        f"{SENDERS} senders in {SENDERS} conversations, one in flight each": (ids, 1),
        f"{SENDERS} senders in one conversation, eight in flight each": (ids[:1], 8),
        "one at a time": (ids[:1], 0),
    }
    points: dict[str, list[_Point]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, (where, flights) in ways.items():
            points[name].append(_Point(mesh, child, where, flights))
    return [_figure(name, found) for name, found in points.items()]


class _Point:
    """One measurement; RuntimeError when what was told is not what was posted."""

    def __init__(self, mesh: Mesh, child: Child, where: list[str], flights: int) -> None:
        before = mesh.cpu_s()
        answer = child.ask(port=mesh.port, token=mesh.token, ids=where, flights=flights, seconds=POINT_S)
        after = mesh.cpu_s()
        self.rate, self.p50_ms, self.p99_ms, count, worked_s, faults = answer
        if faults:
            raise RuntimeError(f"not told as posted: {faults}")
        self.us = {part: (after[part] - before[part]) / count * 1e6 for part in _PARTS}
        self.us["senders"] = worked_s / count * 1e6


def _figure(name: str, points: list[_Point]) -> Figure:
    spent = ", ".join(f"{part} {statistics.median(p.us[part] for p in points):.0f}" for part in points[0].us)
    return Figure(
        "B7",
        f"posts over sockets, {name}",
        statistics.median(point.rate for point in points),
        "messages/s",
        p50_ms=statistics.median(point.p50_ms for point in points),
        p99_ms=statistics.median(point.p99_ms for point in points),
        note=f"us of CPU each: {spent} (in {written_in()})",
    )
