"""How many durable runs a second one process brings to their end: the figure without bus, gateway and catalog around it."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from msgspec import Struct

from polis.db import new_id
from polis.proto.graph import Component, Edge, Graph, GraphInput, GraphOutput, Node, Port
from polis.proto.runtime import Run
from polis.runtime.component import Implementation, Inline, Inputs, Step
from polis.runtime.engine.program import compile_program
from polis.runtime.shell.executor import Executor
from polis.runtime.shell.programs import Bound, Bundle, bind
from polis.runtime.shell.watch import Watch
from polis.service.tasks import Tasks

if TYPE_CHECKING:
    from polis.runtime.config import Config
    from polis.service import Kernel


class Figure(Struct, frozen=True):
    """Runs a second over the whole time, and how long callers waited for one, in milliseconds."""

    runs_per_s: float
    p50_ms: float
    p99_ms: float
    runs: int


async def durable_runs(
    config: Config,
    kernel: Kernel,
    *,
    steps: int = 5,
    effects: bool = False,
    callers: int = 50,
    seconds: float = 3.0,
) -> Figure:
    """Start runs of a chain of steps and wait for the end of each, from so many callers at a time.

    effects: each step is one, so its result is durable before the next begins; otherwise all are pure, and a run is
    executed at once and written once. Admission, result, timeline and two events are durable in both.
    """
    async with Tasks() as tasks:
        executor = Executor(config, kernel, tasks)
        # A name of its own: under that of a process of the mesh it would take over what that one executes.
        own = msgspec.structs.replace(config, instance=f"bench/{executor.incarnation}")
        watch = Watch(own, kernel.database, executor)
        await watch.begin()
        bound = _bound(steps, effects=effects)
        try:
            return await _measure(executor, bound, callers, seconds)
        finally:
            await watch.end()


def in_memory(*, steps: int = 5, many: int = 1, seconds: float = 2.0) -> tuple[float, float]:
    """Graphs of so many pure nodes, and messages over their wires, a second: one after the other, written nowhere.

    many: what the first node emits, and all others pass on.
    """
    way = _bound(steps, effects=False, many=many).straight
    if way is None:
        raise RuntimeError("a chain of pure functions is not run straight through")
    done, started = 0, time.perf_counter()
    while (took := time.perf_counter() - started) < seconds:
        for _ in range(10):
            done += way.run({"x": 1}) is not None  # given up where the process had to wait for its turn
    return done / took, done * (1 + many * (steps - 1)) / took


def _bound(steps: int, *, effects: bool, many: int = 1) -> Bound:
    ports = {"in": Port()}, {"out": Port()}
    component = Component("bench.step", "A step", inputs=ports[0], outputs=ports[1], pure=not effects)
    first = Component("bench.first", "A first step", inputs=ports[0], outputs=ports[1], pure=not effects)
    implementations = {
        component.key: Implementation(component, inline=_step),
        first.key: Implementation(first, inline=_emitting(many)),
    }
    graph = Graph(
        nodes={f"s{i}": Node(component.key if i else first.key) for i in range(steps)},
        edges=tuple(Edge(f"s{i}.out", f"s{i + 1}.in") for i in range(steps - 1)),
        inputs={"x": GraphInput("s0.in")},
        outputs={"y": GraphOutput(f"s{steps - 1}.out")},
    )
    components = {part.key: part for part in (component, first)}
    program = compile_program(graph, components, implementations.get)
    return bind(Bundle(graph, components), program)


def _emitting(many: int) -> Inline:
    def emit(step: Step, inputs: Inputs) -> None:
        for _ in range(many):
            step.emit("out", inputs["in"])

    return emit


def _step(step: Step, inputs: Inputs) -> None:
    step.emit("out", inputs["in"])


async def _measure(executor: Executor, bound: Bound, callers: int, seconds: float) -> Figure:
    org_id, waits = new_id(), list[float]()
    await _one(executor, bound, org_id)
    started = time.perf_counter()
    until = started + seconds

    async def call() -> None:
        while (begun := time.perf_counter()) < until:
            await _one(executor, bound, org_id)
            waits.append(time.perf_counter() - begun)

    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(call())
    took = time.perf_counter() - started
    waits.sort()
    return Figure(
        len(waits) / took, waits[len(waits) // 2] * 1000, waits[len(waits) * 99 // 100] * 1000, len(waits)
    )


async def _one(executor: Executor, bound: Bound, org_id: UUID) -> None:
    run = Run(
        id=new_id(), org_id=org_id, graph="bench", digest=bound.digest, state="queued", actor_id=org_id,
        started_by=org_id, created_at=datetime.now(UTC),
    )  # fmt: skip
    started = executor.prepare(run, bound, {"x": 1})
    await executor.journal.admit(started.admission)
    executor.admitted(started)
    if started.live is not None:
        await executor.ended(run.id)
