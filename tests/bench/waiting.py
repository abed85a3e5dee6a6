"""A hundred thousand open runs that wait for a time, a signal or somebody: what each costs the runtime in memory, and all of them a second."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tests.bench.database import drained, execute, until, value
from tests.bench.figures import Figure

if TYPE_CHECKING:
    from tests.bench.mesh import Mesh

RUNS = 100_000
FIRST = 3_000
"""Runs before memory is read for the first time: by then the code and the buffers that runs need are there."""
BATCH = 1_000
BYTES_EACH = 1_000
REST_S = 30.0
"""For how long the processor's time is counted."""
_NOTHING_CPU = 0.005
"""Share of a core that two readings of the same rest may differ by."""
_SETTLED_S = 3600.0
_OFTEN_S = 0.01
_SIGNALLED = 20
_MONTH_S = 30 * 86_400
_WAITS: dict[str, dict[str, Any]] = {
    "wait": {"seconds": _MONTH_S},
    "signal": {"name": "go", "timeout_s": _MONTH_S},
    "ask": {"kind": "approval", "title": "Go on?", "to": [{"role": "owner"}], "timeout_s": _MONTH_S},
}
_AT_REST = """
    select not exists (select from runtime.runs where ended_at is null and (owner is not null or state <> 'waiting'))
"""
_READ = """
    select coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::bigint from pg_stat_user_tables
    where schemaname = 'runtime'
"""


def measure(mesh: Mesh, wanted: set[str]) -> list[Figure]:
    """Figures of WAITING."""
    del wanted
    for component, config in _WAITS.items():
        mesh.graph(f"waits-{component}", _graph(component, config))
    mesh.graph("waits-soon", _graph("wait", {"seconds": 1}))
    _start(mesh, FIRST)
    _at_rest(mesh)
    bytes_before, before = _bytes(mesh), _rest(mesh)
    began = time.monotonic()
    _start(mesh, RUNS - FIRST)
    _at_rest(mesh)
    took_s = time.monotonic() - began
    bytes_after, after = _bytes(mesh), _rest(mesh)
    name = f"{RUNS:,} open runs that wait"
    cores = {part: after[part] - before.get(part, 0.0) for part in ("runtime", "postgresql")}
    note = f"PSS of the runtime {bytes_before / 1e6:.0f} -> {bytes_after / 1e6:.0f} MB; begun and at rest in {took_s:.0f} s"
    each = (bytes_after - bytes_before) / (RUNS - FIRST)
    return [
        Figure("WAITING", f"{name}: memory of each", each, "bytes", bar=BYTES_EACH, at_most=True, note=note),
        *(
            Figure(
                "WAITING",
                f"{name}: CPU of {part} at rest, beyond that with {FIRST:,}",
                cores[part] * 1000,
                "ms/s",
                bar=_NOTHING_CPU * 1000,
                at_most=True,
                note=f"{before.get(part, 0.0) * 1000:.1f} -> {after[part] * 1000:.1f} ms/s",
            )
            for part in cores
        ),
        Figure("WAITING", f"{name}: rows that PostgreSQL reads at rest", _rows(mesh), "rows/s"),
        Figure("WAITING", "a timer of one second among them", _timer(mesh) * 1000, "ms"),
        Figure(
            "WAITING",
            f"{_SIGNALLED} signals to {_SIGNALLED} of them, until all have ended",
            _signals(mesh) * 1000,
            "ms",
        ),
    ]


def _graph(component: str, config: dict[str, Any]) -> object:
    return {
        "nodes": {"wait": {"component": component, "config": config}},
        "inputs": {"x": {"target": "wait.in"}},
        "outputs": {"y": {"source": "wait.out", "many": True}},
    }


def _start(mesh: Mesh, runs: int) -> None:
    """So many runs, as many of each kind: a request and a commit for each thousand."""
    graphs = [f"waits-{component}" for component in _WAITS]
    for number in range(-(-runs // BATCH)):
        count = min(BATCH, runs - number * BATCH)
        inputs = [{"x": {"n": n}} for n in range(count)]
        mesh.call("POST", "/runs/batch", {"graph": graphs[number % len(graphs)], "inputs": inputs})


def _at_rest(mesh: Mesh) -> None:
    """Until nobody executes any of them, and all that was told of them is out."""
    if not until(mesh, _AT_REST, within_s=_SETTLED_S, often_s=1.0):
        raise RuntimeError(f"not at rest within {_SETTLED_S:.0f} s")
    drained(mesh, within_s=_SETTLED_S)
    mesh.sign_in()
    execute(mesh, "vacuum (analyze)")  # at once, lest it is done while nothing else should be


def _bytes(mesh: Mesh) -> float:
    return mesh.pss_parts()["runtime"] * 1e6


def _rest(mesh: Mesh) -> dict[str, float]:
    """Share of a core that each part takes while nothing is asked of it."""
    spent, began = mesh.cpu_s(), time.monotonic()
    time.sleep(REST_S)
    took = time.monotonic() - began
    return {part: (now - spent.get(part, 0.0)) / took for part, now in mesh.cpu_s().items()}


def _timer(mesh: Mesh) -> float:
    """Seconds from the start of a run that waits for one second to its end."""
    began = time.monotonic()
    run = mesh.call("POST", "/runs", {"graph": "waits-soon", "input": {"x": 1}})
    _wait_for(mesh, run["id"])
    return time.monotonic() - began


def _signals(mesh: Mesh) -> float:
    """Seconds until some runs that are at rest have taken their signal and ended."""
    page = mesh.call("GET", f"/runs?graph=waits-signal&state=waiting&limit={_SIGNALLED}")
    began = time.monotonic()
    for run in page["items"]:
        mesh.call("POST", f"/runs/{run['id']}/signals", {"name": "go", "payload": 1})
    for run in page["items"]:
        _wait_for(mesh, run["id"])
    return time.monotonic() - began


def _wait_for(mesh: Mesh, run_id: str) -> None:
    """Until the run has succeeded."""
    stop = time.monotonic() + _SETTLED_S
    while (state := mesh.call("GET", f"/runs/{run_id}")["state"]) != "succeeded":
        if state in ("failed", "cancelled") or time.monotonic() > stop:
            raise RuntimeError(f"a run that waited is {state}")
        time.sleep(_OFTEN_S)


def _rows(mesh: Mesh) -> float:
    """Rows a second that are read of the runtime's tables, by indexes or without."""
    before = value(mesh, _READ)
    time.sleep(REST_S)
    return float(value(mesh, _READ) - before) / REST_S
