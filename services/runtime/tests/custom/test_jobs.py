"""Components that workers outside execute: each message is a job, claimed under a lease and a token, with one outcome."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from polis.proto import runtime
from polis.proto.graph import Component, Edge, External, Graph, GraphInput, GraphOutput, Node, Port, Retry
from polis.proto.identity import Conditions, Grant, Holder
from polis.proto.problems import Forbidden, Invalid
from polis.testing import eventually

from .test_scripts import ended, output


@pytest.fixture
def outside(played, request):
    """A graph `key` of one component that is executed outside, under a key of its own for each test."""
    key = f"outside{abs(hash(request.node.nodeid)) % 10**9}"

    def outside(**execution):
        played.components[key] = Component(
            key, key, inputs={"in": Port()}, outputs={"out": Port(), "rest": Port({"type": "integer"})}, pure=False, config={},
            execution=External(**execution),
        )  # fmt: skip
        played.graphs[key] = Graph(
            nodes={
                "before": Node("passthrough"),
                "job": Node(key, config={"c": 1}),
                "after": Node("passthrough"),
            },
            edges=(Edge("before.out", "job.in"), Edge("job.out", "after.in")),
            inputs={"x": GraphInput("before.in")},
            outputs={"y": GraphOutput("after.out", many=True)},
        )
        return key

    return outside


async def start(person, key, x=1):
    return await person.call(runtime.StartRun(graph=key, input={"x": x}))


async def claim(person, key, **how):
    return (await person.call(runtime.ClaimJobs(components=(key,), **({"wait_s": 5} | how)))).jobs


def complete(job, *values, port="out"):
    return runtime.CompleteJob(job.id, job.token, tuple(runtime.Emitted(port, value) for value in values))


async def test_a_job_waits_for_a_worker_and_its_outcome_goes_on(ada, outside):
    key = outside(lease_s=30)
    waiting = asyncio.ensure_future(claim(ada, key))
    run = await start(ada, key, {"n": 1})

    (job,) = await waiting
    resting = await eventually(lambda: _in(ada, run.id, "waiting"), within_s=5)
    until = (await ada.call(runtime.HeartbeatJob(job.id, job.token))).until
    await ada.call(complete(job, "a", "b"))

    assert (job.component, job.run_id, job.key) == (key, run.id, f"{run.id}/job/0")
    assert (job.config, job.inputs, job.attempt, job.token) == ({"c": 1}, {"in": {"n": 1}}, 1, 1)
    assert resting.state == "waiting"
    assert until >= job.until
    assert await output(ada, await ended(ada, run.id)) == ["a", "b"]


async def _in(person, run_id, state):
    run = await person.call(runtime.GetRun(run_id=run_id))
    return run if run.state == state else None


async def test_workers_that_claim_at_once_share_the_jobs_and_each_is_had_by_one(ada, outside):
    key = outside()
    runs = [await start(ada, key, n) for n in range(12)]

    async def work():
        done = []
        while jobs := await claim(ada, key, limit=2, wait_s=1):
            for job in jobs:
                done.append(job.id)
                await ada.call(complete(job, job.inputs["in"]))
        return done

    done = await asyncio.gather(*(work() for _ in range(4)))

    assert sorted(await _outputs(ada, runs)) == [[n] for n in range(12)]
    ids = [job_id for worker in done for job_id in worker]
    assert len(ids) == len(set(ids)) == 12


async def _outputs(person, runs):
    return [await output(person, await ended(person, run.id)) for run in runs]


async def test_a_job_of_which_nothing_is_heard_is_offered_again_and_the_first_worker_brings_nothing(
    ada, outside, refused
):
    key = outside(lease_s=1)
    run = await start(ada, key)
    (first,) = await claim(ada, key)

    (second,) = await eventually(lambda: claim(ada, key), within_s=10)
    costly = runtime.CompleteJob(first.id, first.token, (), cost=300)
    late, _ = [await refused(ada.call(costly)) for _ in range(2)]
    unheard = await refused(ada.call(runtime.HeartbeatJob(first.id, first.token)))
    given = (runtime.Emitted("out", "right"),)
    await ada.call(runtime.CompleteJob(second.id, second.token, given, cost=40))
    again = await refused(ada.call(runtime.CompleteJob(second.id, second.token, given, cost=40)))

    assert (second.id, second.key, second.attempt) == (first.id, first.key, 2)
    assert isinstance(late, runtime.JobLost)
    assert isinstance(unheard, runtime.JobLost)
    assert isinstance(again, runtime.JobNotFound)
    assert await output(ada, await ended(ada, run.id)) == ["right"]
    assert await cost_of(ada, run) == [340]


async def test_a_job_that_no_worker_survives_fails_its_run(ada, outside):
    key = outside(lease_s=1, attempts=1)
    run = await start(ada, key)
    (job,) = await claim(ada, key)

    failed = await ended(ada, run.id)

    assert job.attempts == 1
    assert (failed.error.step, failed.error.kind) == ("job", "job.lost")
    assert await claim(ada, key, wait_s=0) == ()


async def test_heartbeats_keep_the_last_attempt_alive(ada, outside, admin):
    key = outside(lease_s=60, attempts=1)
    run = await start(ada, key)
    (job,) = await claim(ada, key)
    ends = (
        "select j.free_at, w.due_at from runtime.jobs j join runtime.waits w on w.id = j.id where j.id = $1"
    )
    claimed = await admin.fetchrow(ends, job.id)

    until = (await ada.call(runtime.HeartbeatJob(job.id, job.token))).until

    kept = await admin.fetchrow(ends, job.id)
    assert claimed["free_at"] == claimed["due_at"] == job.until
    assert kept["free_at"] == kept["due_at"] == until > job.until
    await ada.call(complete(job, "done"))
    assert await output(ada, await ended(ada, run.id)) == ["done"]


async def test_a_failure_is_offered_again_or_ends_the_run_as_its_worker_says(ada, outside):
    key = outside(attempts=3)
    run = await start(ada, key)
    (job,) = await claim(ada, key)

    await ada.call(runtime.FailJob(job.id, job.token, "busy", retryable=True, cost=1_000))
    assert await claim(ada, key, wait_s=0) == ()
    (again,) = await claim(ada, key)
    await ada.call(runtime.FailJob(again.id, again.token, "no such order", "order.unknown", cost=500))

    failed = await ended(ada, run.id)
    assert (again.attempt, failed.error.kind, failed.error.message) == (2, "order.unknown", "no such order")
    assert await cost_of(ada, run) == [1_500]


async def test_what_was_given_back_has_cost_what_it_did_although_nobody_brings_an_outcome(
    ada, outside, refused, admin
):
    key = outside(timeout_s=3600)
    run = await start(ada, key)
    (job,) = await claim(ada, key)

    await ada.call(runtime.FailJob(job.id, job.token, "busy", retryable=True, cost=1_000))

    (again,) = await claim(ada, key)
    await admin.execute("update runtime.waits set due_at = now() where id = $1", job.id)
    assert (await ended(ada, run.id)).error.kind == "wait.timeout"
    assert await cost_of(ada, run) == [1_000]
    late = runtime.CompleteJob(again.id, again.token, (), cost=500)
    problems = [await refused(ada.call(late)) for _ in range(2)]
    assert problems == [runtime.JobNotFound(job_id=again.id)] * 2
    assert await cost_of(ada, run) == [1_500]


async def test_a_graph_in_a_graph_that_waits_for_a_job_takes_no_longer_than_it_may_though_its_run_rests(
    ada, outside, played, refused
):
    key = outside()
    inner = {
        "nodes": {"job": {"component": key}},
        "inputs": {"item": {"target": "job.in"}},
        "outputs": {"result": {"source": "job.out"}},
    }
    again = Retry(attempts=20, delay_s=0.01, on=("step.timeout",))
    played.graphs[key] = Graph(
        nodes={"outer": Node("graph", config={"graph": inner}, timeout_s=1, retry=again)},
        inputs={"x": GraphInput("outer.item")},
    )
    run = await start(ada, key)
    (first,) = await claim(ada, key)
    await eventually(lambda: _in(ada, run.id, "waiting"), within_s=5)

    (second,) = await eventually(lambda: claim(ada, key), within_s=10)
    late = await refused(ada.call(complete(first, 1)))
    await ada.call(runtime.CancelRun(run_id=run.id))

    assert isinstance(late, runtime.JobNotFound)
    assert second.id != first.id


async def cost_of(person, run):
    told = (await person.call(runtime.GetTimeline(run_id=run.id))).attempts
    return {step.node: [each.cost for each in step.attempts] for step in told}["job"]


async def test_a_job_of_a_cancelled_run_is_nobodys(ada, outside, refused):
    key = outside()
    claimed, waiting = await start(ada, key), await start(ada, key)
    (job,) = await claim(ada, key)

    for run in (claimed, waiting):
        await ada.call(runtime.CancelRun(run_id=run.id))

    assert isinstance(await refused(ada.call(complete(job, 1))), runtime.JobNotFound)
    assert await claim(ada, key, wait_s=0) == ()


async def test_what_a_job_has_cost_is_told_though_its_run_was_cancelled_meanwhile(ada, outside, refused):
    key = outside()
    run = await start(ada, key)
    (first,) = await claim(ada, key)
    idle = await start(ada, key)
    (second,) = await claim(ada, key)
    await ada.call(runtime.FailJob(second.id, second.token, "busy", retryable=True, cost=700))
    for each in (run, idle):
        await ada.call(runtime.CancelRun(run_id=each.id))

    done = runtime.CompleteJob(first.id, first.token, (), cost=1_500)
    problems = [await refused(ada.call(done)) for _ in range(2)]

    assert problems == [runtime.JobNotFound(job_id=first.id)] * 2
    assert await cost_of(ada, run) == [1_500]
    assert await cost_of(ada, idle) == [700]


async def test_what_a_job_emits_fits_the_component(ada, outside, refused):
    key = outside()
    run = await start(ada, key)
    (job,) = await claim(ada, key)

    problem = await refused(ada.call(complete(job, 1, port="away")))
    other = await refused(ada.call(complete(job, 2, "three", port="rest")))
    given = (runtime.Emitted("rest", 2),)
    await ada.call(runtime.CompleteJob(job.id, job.token, given, cost=1_500))

    assert isinstance(problem, Invalid)
    assert [fault.pointer for fault in problem.faults] == ["/emitted/0/port"]
    assert [fault.pointer for fault in other.faults] == ["/emitted/1/value"]
    assert await output(ada, await ended(ada, run.id)) == []
    assert await cost_of(ada, run) == [1_500]


async def test_jobs_are_for_workers_of_the_org(ada, actors, caller, outside, refused):
    key = outside()
    await start(ada, key)
    other = actors.person("member")
    other.caller = caller
    viewer = actors.person("viewer", org_id=ada.org_id)
    viewer.caller = caller

    assert await claim(other, key, wait_s=0) == ()
    assert isinstance(await refused(claim(viewer, key)), Forbidden)
    assert len(await claim(ada, key)) == 1


async def test_an_agent_does_the_jobs_that_a_grant_opens_to_it_and_nobody_ends_anothers(
    ada, actors, caller, outside, refused
):
    key = outside()
    sarah = actors.agent(ada.org_id)
    agent = actors.person("agent", org_id=ada.org_id, kind="agent", sub=sarah.id)
    agent.caller = caller
    await start(ada, key)

    def grant(resource):
        holder, now = Holder("principal", sarah.id), datetime.now(UTC)
        given = Grant(
            uuid4(), ada.org_id, holder, "runtime:work", resource, ada.principal_id, now, Conditions()
        )
        actors.grants.append(given)

    grant("component/another")
    problem = await refused(claim(agent, key, wait_s=0))
    grant("component/outside*")
    (job,) = await claim(agent, key)

    assert problem == Forbidden(scope="runtime:work")
    assert isinstance(await refused(ada.call(complete(job, 1))), runtime.JobLost)
    await agent.call(complete(job, 1))
