"""Nothing acts as an agent that was stopped, however a run that was being started and the news of it meet."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from polis.bus.permissions import ADMIN
from polis.proto import runtime
from polis.proto.identity import AgentDeleted, AgentResumed, AgentSuspended, QuotaSet, Subject
from polis.testing import eventually
from polis.testing.usage import PlayedUsage

WAITING = "select count(*) from pg_locks where locktype = 'advisory' and mode = $1 and not granted"


@pytest.fixture
def sarah(ada, actors, played, graph_of, effects):
    """An agent with a run that goes on for as long as it may."""
    played.graphs["long"] = graph_of("test.effect")
    effects.gate.clear()
    return actors.agent(ada.org_id)


@pytest.fixture
def start(sarah):
    return runtime.StartRun(graph="long", input={"x": 1}, agent=str(sarah.id))


@pytest.fixture(scope="module")
async def usage(stage):
    return await PlayedUsage.on(await stage.bus(ADMIN), "runs")


@pytest.mark.parametrize("stopped", [AgentSuspended, AgentDeleted])
async def test_a_run_that_was_asked_for_before_its_agent_was_stopped_and_is_written_later_is_refused(
    ada, usage, sarah, start, tell, refused, admin, stopped
):
    usage.begin()
    quota = QuotaSet(ada.org_id, uuid4(), Subject("org"), "runs", "day", 7)
    await tell(quota)
    await eventually(lambda: admin.fetchval("select id from runtime.quotas where id = $1", quota.quota_id))
    usage.silent = True
    starting = asyncio.create_task(refused(ada.call(start)))
    await eventually(lambda: usage.unanswered)
    await tell(stopped(ada.org_id, sarah.id))
    await eventually(
        lambda: admin.fetchval("select true from runtime.stopped_agents where agent_id = $1", sarah.id)
    )

    usage.answer_late()

    assert await starting == runtime.AgentUnknown(agent=str(sarah.id))
    assert (await ada.call(runtime.ListRuns())).items == ()
    await eventually(lambda: usage.told() == {usage.reserved[0].reservation_id: 0})


async def test_a_run_that_is_being_written_is_cancelled_and_the_next_refused_until_the_agent_is_resumed(
    ada, sarah, start, tell, refused, admin
):
    run = await ada.call(start)
    async with admin.transaction():
        # As another process that has inserted its run and not committed yet.
        being_written = uuid4()
        await admin.execute(
            """
            insert into runtime.runs
            select (jsonb_populate_record(r, jsonb_build_object('id', $2::uuid, 'owner', null))).*
            from runtime.runs r where r.id = $1
            """,
            run.id,
            being_written,
        )
        await tell(AgentSuspended(ada.org_id, sarah.id))
        await eventually(lambda: waits(admin, "ExclusiveLock"))
        starting = asyncio.create_task(refused(ada.call(start)))
        await eventually(lambda: waits(admin, "ShareLock"))

    assert await starting == runtime.AgentUnknown(agent=str(sarah.id))
    for run_id in (run.id, being_written):
        assert await eventually(lambda run_id=run_id: cancelled(ada, run_id))
    assert len((await ada.call(runtime.ListRuns())).items) == 2

    await tell(AgentResumed(ada.org_id, sarah.id))
    await eventually(lambda: gone(admin, sarah.id))
    assert (await ada.call(start)).state == "running"


async def test_a_run_that_an_agent_begins_as_itself_while_it_is_stopped_is_cancelled_when_it_is_written(
    ada, sarah, actors, caller, tell, effects, admin
):
    self = actors.person("agent", org_id=ada.org_id, kind="agent", sub=sarah.id)
    self.caller = caller
    await tell(AgentSuspended(sarah.org_id, sarah.id))
    await eventually(
        lambda: admin.fetchval("select true from runtime.stopped_agents where agent_id = $1", sarah.id)
    )

    # By a token that was looked at before, so nobody refuses it.
    run = await self.call(runtime.StartRun(graph="long", input={"x": 1}))

    async def ended():
        found = await admin.fetchrow("select state, error from runtime.runs where id = $1", run.id)
        return found if found["state"] == "cancelled" else None

    found = await eventually(ended, within_s=5)
    assert b"agent.stopped" in found["error"]
    effects.gate.set()
    assert not [key for key in effects.keys if key.startswith(str(run.id))]


async def waits(admin, mode):
    return await admin.fetchval(WAITING, mode) == 1


async def gone(admin, agent_id):
    return not await admin.fetch("select from runtime.stopped_agents where agent_id = $1", agent_id)


async def cancelled(ada, run_id):
    found = await ada.call(runtime.GetRun(run_id=run_id))
    return found.state == "cancelled" and found.error.kind == "agent.suspended"
