"""Durable runs of five steps: ours in one process, DBOS on the same PostgreSQL server, and ours started over HTTP."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from polis.db.databases import create_database
from tests.bench.child import Child
from tests.bench.database import drained
from tests.bench.figures import Figure, Point, beside
from tests.bench.peer_venv import python_with

if TYPE_CHECKING:
    from tests.bench.mesh import Mesh

ROUNDS = 5
CALLERS = 50
POINT_S = 2.0
DBOS = "dbos==3.4.0"
_DATABASE = "dbos_peer"
_MESSAGES = 100
"""What the first node of a graph emits where messages are counted."""


def measure(mesh: Mesh, wanted: set[str]) -> list[Figure]:
    """Figures of B1, B2 and B3. Without DBOS (no network, no wheel) ours stand alone, and the figures say so."""
    ours = replica(mesh)
    alone = _measure_alone(mesh, ours, wanted)
    if "B2" not in wanted:
        return alone
    try:
        peer = _dbos(mesh)
        kind = max(("threads", "tasks"), key=lambda k: peer.ask(kind=k, callers=CALLERS, seconds=POINT_S)[0])
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        why = f"no DBOS to compare with: {error}"
        return [*alone, *(_without(ours, effects, why) for effects in (True, False))]
    points: dict[str, list[Point]] = {"dbos": [], "steps": [], "pure": []}
    for _ in range(ROUNDS):
        points["steps"].append(_run(ours, effects=True))
        drained(mesh)
        points["dbos"].append(Point(*peer.ask(kind=kind, callers=CALLERS, seconds=POINT_S)))
        points["pure"].append(_run(ours, effects=False))
        drained(mesh)
    name = f"DBOS 3.4 ({kind})"
    return [
        *alone,
        beside("B2", _name(effects=True), points["steps"], name, points["dbos"], bar=30.0, unit="runs/s"),
        beside("B2", _name(effects=False), points["pure"], name, points["dbos"], bar=30.0, unit="runs/s"),
        Figure("DBOS", "durable 5-step runs, 50 callers", *_alone(points["dbos"])),
    ]


def _measure_alone(mesh: Mesh, ours: Child, wanted: set[str]) -> list[Figure]:
    """Figures of B1 and B3, whose bars are rates."""
    figures = []
    if "B1" in wanted:
        for callers in (200, 1):
            found = []
            for _ in range(ROUNDS):
                found.append(Point(*ours.ask(steps=1, effects=False, callers=callers, seconds=POINT_S)))
                drained(mesh)
            middle = sorted(found)[ROUNDS // 2]
            name = f"durable 1-step runs, {callers} caller{'s' if callers > 1 else ''}"
            figures.append(
                Figure(
                    "B1",
                    name,
                    middle.rate,
                    "runs/s",
                    bar=12_000.0 if callers > 1 else None,
                    p50_ms=middle.p50_ms,
                    p99_ms=middle.p99_ms,
                )
            )
    if "B3" in wanted:
        one = sorted(ours.ask(in_memory=1) for _ in range(ROUNDS))[ROUNDS // 2]
        many = sorted(ours.ask(in_memory=_MESSAGES) for _ in range(ROUNDS))[ROUNDS // 2]
        figures += [
            Figure("B3", "5-node graphs in memory", one[0], "graphs/s", bar=60_000.0),
            Figure("B3", "messages within such graphs", many[1], "messages/s", bar=500_000.0),
        ]
    return figures


def _alone(points: list[Point]) -> tuple[float, str]:
    return sorted(p.rate for p in points)[len(points) // 2], "runs/s"


def _name(*, effects: bool) -> str:
    how = "each step durable before the next" if effects else "pure steps, written once"
    return f"durable 5-step runs, {CALLERS} callers, {how}"


def _run(ours: Child, *, effects: bool) -> Point:
    return Point(*ours.ask(effects=effects, callers=CALLERS, seconds=POINT_S))


def _without(ours: Child, effects: bool, why: str) -> Figure:
    found = [_run(ours, effects=effects) for _ in range(ROUNDS)]
    middle = sorted(found)[ROUNDS // 2]
    return Figure(
        "B2",
        _name(effects=effects),
        middle.rate,
        "runs/s",
        p50_ms=middle.p50_ms,
        p99_ms=middle.p99_ms,
        note=why,
    )


def replica(mesh: Mesh) -> Child:
    """Another process of the runtime, which measures itself."""
    settings = mesh.nats_login("runtime") | {
        "POLIS_POSTGRES_URL": mesh.postgres_url("app_runtime"),
        "POLIS_CREDENTIAL": mesh.home.credential("runtime"),
        "POLIS_INSTANCE": "bench",
    }
    child = mesh.beside("-m", "tests.bench.runs_child", settings=settings, pipes=True)
    return Child(child, mesh.last_words)


def _dbos(mesh: Mesh) -> Child:
    python = python_with(DBOS)
    url = mesh.postgres_url(database=_DATABASE)
    asyncio.run(create_database(mesh.postgres_url(), _DATABASE))
    script = str(Path(__file__).with_name("dbos_child.py"))
    child = mesh.beside("-P", script, settings={"DATABASE_URL": url}, pipes=True, python=str(python))
    return Child(child, mesh.last_words)
