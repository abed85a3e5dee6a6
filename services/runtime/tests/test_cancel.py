"""Two processes: a cancel reaches the one that executes the run at once, and nothing takes effect after it; what one opens,
cannot take or leaves behind the other has in hand a moment later.
"""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from polis.proto import runtime
from polis.proto.graph import Component, External, Node, Port
from polis.runtime import component
from polis.runtime.component import Implementation
from polis.runtime.jobs import waiting
from polis.runtime.service import service
from polis.runtime.waits import kinds
from polis.service import serving
from polis.testing import eventually

RUNS, MOST_RUNS = 12, 60
ROUNDS = 6


class Stubborn:
    """Steps that tell when they are stopped."""

    def __init__(self):
        self.begun: list[str] = []
        self.stopped: list[str] = []

    async def work(self, step, inputs):
        self.begun.append(step.key)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.stopped.append(step.key)
            raise


@pytest.fixture(scope="module")
def working(played):
    stubborn = Stubborn()
    described = Component(
        "test.stubborn", "", inputs={"in": Port()}, outputs={"out": Port()}, pure=False, effects=("clock",)
    )
    played.components["test.stubborn"] = described
    component._implementations["test.stubborn"] = Implementation(described, task=stubborn.work)
    yield stubborn
    del component._implementations["test.stubborn"]


@pytest.fixture
def stubborn(working):
    working.begun.clear()
    working.stopped.clear()
    return working


@pytest.fixture(scope="module")
async def running(stage, actors):
    """Two processes whose beats are minutes apart: what they hear in time, they hear from each other."""
    for name in ("one", "other"):
        await stage.start("runtime", instance=name, lease_s=300.0)


async def test_steps_are_stopped_within_two_seconds_in_whichever_process_they_are(
    stage, ada, played, graph_of, stubborn
):
    played.graphs["stubborn"] = graph_of("test.stubborn")
    admin = await asyncpg.connect(stage.database.admin_url)
    runs, owners = [], 0
    while len(runs) < RUNS or (owners < 2 and len(runs) < MOST_RUNS):
        # One by one: those of one moment travel to one process.
        runs.append(await ada.call(runtime.StartRun(graph="stubborn", input={"x": len(runs)})))
        owners = await admin.fetchval("select count(distinct owner) from runtime.runs where ended_at is null")
    await admin.close()
    await eventually(lambda: len(stubborn.begun) == len(runs), within_s=10)

    await asyncio.gather(*(ada.call(runtime.CancelRun(run_id=run.id)) for run in runs))

    await eventually(lambda: sorted(stubborn.stopped) == sorted(stubborn.begun), within_s=2)
    assert owners == 2


async def test_what_a_cancelled_run_waited_for_is_closed(stage, ada, played, graph_of):
    played.graphs["waiting"] = graph_of("wait")
    played.graphs["waiting"].nodes["n0"] = Node("wait", {"seconds": 3600})
    run = await ada.call(runtime.StartRun(graph="waiting", input={"x": 1}))
    admin = await asyncpg.connect(stage.database.admin_url)

    async def opened():
        return await admin.fetchval("select count(*) from runtime.waits where run_id = $1", run.id)

    await eventually(opened, within_s=5)
    await ada.call(runtime.CancelRun(run_id=run.id))

    still = "select count(*) from runtime.waits where run_id = $1 and closed_at is null"
    assert await admin.fetchval(still, run.id) == 0
    await admin.close()


async def test_a_worker_has_a_job_at_once_whichever_process_it_asked(ada, played, graph_of, monkeypatch):
    waits, wait = [], waiting.Waiting.wait

    async def seen(self, org_id, within_s):
        waits.append(within_s)
        return await wait(self, org_id, 3600)  # nothing but being told ends it

    monkeypatch.setattr(waiting.Waiting, "wait", seen)
    monkeypatch.setattr(waiting, "LOOK_S", 3600)
    ports = {"inputs": {"in": Port()}, "outputs": {"out": Port()}}
    played.components["outside"] = Component("outside", "", **ports, pure=False, execution=External())
    played.graphs["outside"] = graph_of("outside")
    for n in range(ROUNDS):
        claim = runtime.ClaimJobs(components=("outside",), wait_s=5)
        claiming = asyncio.ensure_future(ada.call(claim))
        await eventually(lambda n=n: len(waits) > n, within_s=10)
        await ada.call(runtime.StartRun(graph="outside", input={"x": n}))

        (job,) = (await claiming).jobs
        assert job.inputs == {"in": n}


async def test_a_run_for_which_a_process_has_no_room_and_one_that_it_leaves_are_the_others(
    stage, ada, played, graph_of, stubborn, monkeypatch
):
    # Which kinds of waits are heard of is a process's own, and here all are one: those of a service that ends go with it.
    monkeypatch.setattr(kinds, "_kinds", dict(kinds._kinds))
    played.graphs["stubborn"] = graph_of("test.stubborn")
    settings, runs = stage.settings("runtime", instance="small", lease_s=300.0, runs_at_once=1), []
    async with serving(service, settings):
        while len(runs) < MOST_RUNS and (not runs or runs[-1].state != "queued"):
            runs.append(await ada.call(runtime.StartRun(graph="stubborn", input={"x": len(runs)})))
        assert runs[-1].state == "queued"
        await eventually(lambda: len(set(stubborn.begun)) == len(runs), within_s=20)

    await eventually(lambda: len(stubborn.begun) == len(runs) + 1, within_s=20)
    await asyncio.gather(*(ada.call(runtime.CancelRun(run_id=run.id)) for run in runs))
    await eventually(lambda: len(stubborn.stopped) == len(stubborn.begun), within_s=20)
