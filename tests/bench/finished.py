"""A million runs that have ended: what they cost whoever starts, looks for and deletes runs, beside a database without them."""

from __future__ import annotations

import statistics
import time
import urllib.parse
from typing import TYPE_CHECKING, NamedTuple

from tests.bench.database import drained, execute, value
from tests.bench.figures import Figure
from tests.bench.runs import replica

if TYPE_CHECKING:
    from tests.bench.child import Child
    from tests.bench.mesh import Mesh

RUNS = 1_000_000
AT_ONCE = 50_000
"""Runs that one statement makes."""
ROUNDS, POINT_S, CALLERS = 5, 3.0, 200
_SLOWER = 1.1
"""CPU of an admission with them may be so many times what it is without: the indexes are a level or two higher."""
_PAGE_MS = 20.0
_DRAIN_S = 300.0
_DAYS = 400
"""Over which they are spread."""
_GRAPH = {
    "nodes": {"a": {"component": "passthrough"}},
    "inputs": {"x": {"target": "a.in"}},
    "outputs": {"y": {"source": "a.out"}},
}
_MADE = """
    with made as (
        insert into runtime.runs (org_id, id, graph, digest, program, state, actor_id, started_by, created_at, started_at,
            ended_at, seq, input, steps, output, error, epoch, tags, wake_at, attempts)
        select case when n % 10 = 0 then md5('org' || n % 1000)::uuid else t.org_id end,
            uuidv7(make_interval(secs => (n - $2) * ($3 * 86400.0 / $4))), 'graph-' || n % 20, t.digest, t.program,
            case when n % 50 = 0 then 'failed' else 'succeeded' end, t.actor_id, t.started_by, at, at,
            at + interval '1 second', t.seq, t.input, t.steps, case when n % 50 = 0 then null else t.output end,
            case when n % 50 = 0 then convert_to('{"step":"","type":"bench.failed","message":"made"}', 'utf8') end, 1,
            case when n % 10 = 1 then array['nightly'] end, 'infinity', t.attempts
        from generate_series($1::bigint, $1::bigint + $5::bigint - 1) as n
        cross join lateral (select now() + (n - $2) * make_interval(secs => $3 * 86400.0 / $4) as at) a
        cross join runtime.runs t where t.org_id = $6 and t.id = $7
        returning org_id, id, seq, tags
    ), told as (
        insert into runtime.transitions (org_id, run_id, last_seq, first_seq, body)
        select m.org_id, m.id, m.seq, 1, t.body from made m
        cross join runtime.transitions t where t.org_id = $6 and t.run_id = $7
    )
    insert into runtime.run_tags (org_id, tag, run_id) select org_id, 'nightly', id from made where tags is not null
"""


class Point(NamedTuple):
    """Admissions a second, and microseconds of the processor that each took in the process and in PostgreSQL."""

    rate: float
    cpu_us: float


def measure(mesh: Mesh, wanted: set[str]) -> list[Figure]:
    """Figures of FINISHED."""
    del wanted
    child = replica(mesh)
    mesh.graph("five", _GRAPH)
    run = mesh.call("POST", "/runs", {"graph": "five", "input": {"x": 1}, "tags": ["nightly"]})
    _point(mesh, child)
    before = [_point(mesh, child) for _ in range(ROUNDS)]
    began = time.monotonic()
    _make(mesh, run)
    took_s = time.monotonic() - began
    after = [_point(mesh, child) for _ in range(ROUNDS)]
    found = _pages(mesh, run)
    swept = _swept(mesh, child)
    execute(mesh, "truncate runtime.runs cascade")
    _tidy(mesh)
    again = [_point(mesh, child) for _ in range(ROUNDS)]
    return [*_admissions(before + again, after, took_s), *found, *swept]


def _admissions(without: list[Point], with_: list[Point], took_s: float) -> list[Figure]:
    name = f"durable 1-step runs, {CALLERS} callers, beside {RUNS:,} that have ended"
    cpu = statistics.median(p.cpu_us for p in with_), statistics.median(p.cpu_us for p in without)
    rate = statistics.median(p.rate for p in with_), statistics.median(p.rate for p in without)
    peer = "without them, before and after"
    return [
        Figure("FINISHED", f"{name}: CPU of each", cpu[0], "us", peer, cpu[1], cpu[0] / cpu[1], _SLOWER, at_most=True),
        Figure("FINISHED", name, rate[0], "runs/s", peer, rate[1], rate[0] / rate[1], note=f"made in {took_s:.0f} s"),
    ]  # fmt: skip


def _point(mesh: Mesh, child: Child) -> Point:
    spent = mesh.cpu_s()["postgresql"] + child.cpu_s()
    rate = child.ask(steps=1, effects=False, callers=CALLERS, seconds=POINT_S)[0]
    drained(mesh, within_s=_DRAIN_S)
    spent = mesh.cpu_s()["postgresql"] + child.cpu_s() - spent
    return Point(rate, spent / (rate * POINT_S) * 1e6)


def _make(mesh: Mesh, run: dict[str, str]) -> None:
    """The runs, each like one that the mesh has executed, nine of ten in one org; then what autovacuum would do."""
    for first in range(0, RUNS, AT_ONCE):
        execute(mesh, _MADE, first, RUNS, float(_DAYS), float(RUNS), AT_ONCE, run["org_id"], run["id"])
    _tidy(mesh)


def _tidy(mesh: Mesh) -> None:
    mesh.sign_in()
    execute(mesh, "vacuum (analyze)")
    execute(mesh, "checkpoint")


def _pages(mesh: Mesh, run: dict[str, str]) -> list[Figure]:
    """The slowest of the searches, each for its first page and for one a hundred days back."""
    until = value(mesh, "select to_char(now() - interval '100 days', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')")
    searches: list[dict[str, str]] = [
        {}, {"state": "failed"}, {"graph": "graph-0"}, {"graph": "graph-0", "state": "failed"}, {"tag": "nightly"},
        {"graph": "graph-1", "tag": "nightly"}, {"started_by": run["started_by"]}, {"actor_id": run["actor_id"]},
        {"state": "running"}, {"graph": "never"}, {"tag": "never"},
    ]  # fmt: skip
    waits = {}
    for search in [{**s, **more} for s in searches for more in ({}, {"until": until})]:
        path = "/runs?" + urllib.parse.urlencode(search)
        mesh.call("GET", path)
        began = time.perf_counter()
        for _ in range(10):
            mesh.call("GET", path)
        waits[path] = (time.perf_counter() - began) * 100
    slowest = max(waits, key=waits.__getitem__)
    name = f"the slowest of {len(waits)} searches among them, a page of 50 over HTTP"
    note = f"{slowest}; the median of all {statistics.median(waits.values()):.1f} ms"
    return [Figure("FINISHED", name, waits[slowest], "ms", bar=_PAGE_MS, at_most=True, note=note)]


def _swept(mesh: Mesh, child: Child) -> list[Figure]:
    """A turn of retention by age, which deletes as many as a turn may, and one by size, which finds nothing to delete."""
    figures = []
    for how, policy in (("age", {"days": 300}), ("size, nothing to delete", {"bytes": 2**50})):
        spent = mesh.cpu_s()["postgresql"]
        began = time.monotonic()
        gone = child.ask(sweep=policy)
        took, spent = time.monotonic() - began, mesh.cpu_s()["postgresql"] - spent
        note = f"{gone:,} deleted; {spent:.2f} s of PostgreSQL's CPU"
        figures.append(Figure("FINISHED", f"a turn of retention by {how}", took, "s", note=note))
    return figures
