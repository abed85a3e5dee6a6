"""A cancel reaches the process that executes the run at once, whichever process was asked; nothing takes effect after it."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from polis.proto import runtime
from polis.proto.graph import Component, Node, Port
from polis.runtime import component
from polis.runtime.component import Implementation
from polis.testing import eventually

RUNS, MOST_RUNS = 12, 60


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


@pytest.fixture
def stubborn(played):
    stubborn = Stubborn()
    described = Component(
        "test.stubborn", "", inputs={"in": Port()}, outputs={"out": Port()}, pure=False, effects=("clock",)
    )
    played.components["test.stubborn"] = described
    component._implementations["test.stubborn"] = Implementation(described, task=stubborn.work)
    yield stubborn
    del component._implementations["test.stubborn"]


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
