"""Jobs whose worker could not be heard: its silence counts from when it could have been."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest

from polis.proto import runtime
from polis.proto.graph import Component, External, Graph, GraphInput, GraphOutput, Node, Port
from polis.runtime.jobs.silence import Silence
from polis.runtime.service import service
from polis.service import serving
from polis.testing import eventually

from .test_scripts import ended, output

KEY = "silent"
LAST = Component(
    KEY, "", inputs={"in": Port()}, outputs={"out": Port()}, pure=False, execution=External(lease_s=120, attempts=1)
)  # fmt: skip


@pytest.fixture(scope="module")
def running(played):
    """A runtime that serves as long as a test says."""
    played.components[KEY] = LAST
    played.graphs[KEY] = Graph(
        nodes={"job": Node(KEY)}, inputs={"x": GraphInput("job.in")}, outputs={"y": GraphOutput("job.out")}
    )


@pytest.fixture
def serves(stage):
    @asynccontextmanager
    async def serves():
        async with serving(service, stage.settings("runtime", lease_s=1.0)):
            yield

    return serves


@pytest.fixture
def lapse(admin):
    """Have the lease of a job end, whose worker has said nothing since."""

    async def lapse(job):
        await admin.execute("update runtime.jobs set free_at = now() where id = $1", job.id)
        await admin.execute("update runtime.waits set due_at = now() where id = $1", job.id)

    return lapse


@pytest.fixture
def claimed(ada):
    async def claimed():
        run = await ada.call(runtime.StartRun(graph=KEY, input={"x": 1}))
        (job,) = (await ada.call(runtime.ClaimJobs(components=(KEY,), wait_s=5))).jobs
        return run, job

    return claimed


async def test_a_job_whose_lease_ended_while_nobody_could_hear_its_worker_is_still_its_workers(
    ada, serves, claimed, lapse, admin
):
    async with serves():
        run, job = await claimed()
    await lapse(job)

    async with serves():
        await _looked_at(admin, job)
        await ada.call(runtime.HeartbeatJob(job.id, job.token))
        await ada.call(runtime.CompleteJob(job.id, job.token, (runtime.Emitted("out", "done"),)))

        assert await output(ada, await ended(ada, run.id)) == "done"


async def _looked_at(admin, job):
    """Whoever completes what is due has found it, one way or the other."""
    later = "select closed_at is not null or due_at > now() from runtime.waits where id = $1"
    await eventually(lambda: admin.fetchval(later, job.id), within_s=20)


def test_who_was_not_heard_for_longer_than_between_two_signs_of_life_has_the_whole_lease_from_then_on():
    silence = Silence()
    assert silence.left_s(30, 0) == 30
    for second in range(101):
        silence.heard(second)
    assert silence.left_s(30, 100) == 0
    assert silence.left_s(30, 111) == 30

    for second in (105, 106, 107, 116, 117):
        silence.heard(second)

    left = {lease_s: silence.left_s(lease_s, 117) for lease_s in (3, 10, 15, 24, 27, 30)}
    assert left == {3: 2, 10: 9, 15: 14, 24: 23, 27: 0, 30: 0}


def test_a_gap_before_a_longer_one_counts_no_more_and_a_shorter_one_only_for_short_leases():
    silence = Silence()
    for second in (*range(41), 50, 51, 80, 81, 85, 86):
        silence.heard(second)

    assert [silence.left_s(lease_s, 86) for lease_s in (9, 12, 30, 84, 90)] == [8, 6, 24, 78, 4]
