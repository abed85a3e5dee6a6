"""One run of very many effects, each durable before the next: how far it is, who has it, and what that costs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import psutil

from polis.proto import catalog, runtime
from polis.proto.graph import Graph, GraphInput, GraphOutput, Node
from polis.testing import eventually

if TYPE_CHECKING:
    from tests.chaos.processes import Process
    from tests.chaos.runs import Runs

GIVEN = [0]
_KEY = "long"
_PATIENCE_S = 600.0
_ROUND = {
    "nodes": {"tell": {"component": "log", "config": {"message": "round"}}},
    "inputs": {"state": {"target": "tell.in"}},
    "outputs": {"state": {"source": "tell.out"}},
}


class LongRun:
    """A loop over an effect, which gives what it was given."""

    def __init__(self, runs: Runs, rounds: int) -> None:
        self._runs = runs
        self._graph = Graph(
            nodes={"loop": Node("loop", config={"graph": _ROUND, "times": rounds})},
            inputs={"x": GraphInput("loop.in")},
            outputs={"y": GraphOutput("loop.out")},
        )
        self.run: runtime.Run

    async def start(self) -> None:
        call, content = self._runs.mesh.call, msgspec.to_builtins(self._graph)
        made = await call(catalog.CreateResource(type="graph", key=_KEY, content=content))
        await call(catalog.PublishVersion(resource_id=made.id))
        await call(catalog.Activate(resource_id=made.id, environment="production", number=1))
        self.run = await call(runtime.StartRun(graph=_KEY, input={"x": GIVEN}))

    async def outcomes(self) -> int:
        """How many the journal holds: one for each round, however often it was begun."""
        [row] = await self._runs.mesh.rows(
            "select count(*) as n from runtime.journal where run_id = $1 and node <> '@log'", self.run.id
        )
        return row["n"]

    async def has_outcomes(self, least: int, *, within_s: float = _PATIENCE_S) -> None:
        async def look() -> bool:
            return await self.outcomes() >= least

        await eventually(look, within_s=within_s)

    async def holder(self) -> tuple[Process, Process]:
        """The process that has the run, and the other one."""
        [row] = await self._runs.mesh.rows(
            "select i.name from runtime.runs r join runtime.instances i on i.incarnation = r.owner where r.id = $1",
            self.run.id,
        )
        [other] = set(self._runs.runtimes) - {row["name"]}
        return self._runs.runtimes[row["name"]], self._runs.runtimes[other]

    async def output(self) -> object:
        """What it came to, once it has ended."""

        async def look() -> bool:
            found = await self._runs.ask(runtime.GetRun(run_id=self.run.id))
            assert found.state not in ("failed", "cancelled"), found.error
            return found.state == "succeeded"

        await eventually(look, within_s=_PATIENCE_S)
        return (await self._runs.ask(runtime.GetOutput(run_id=self.run.id))).values


def bytes_of(process: Process) -> int:
    """What a process has for itself alone."""
    assert process.child is not None
    return int(psutil.Process(process.child.pid).memory_full_info().uss)


def cpu_s(process: Process) -> float:
    assert process.child is not None
    times = psutil.Process(process.child.pid).cpu_times()
    return times.user + times.system
